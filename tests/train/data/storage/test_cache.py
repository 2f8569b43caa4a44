"""The memory-mapped cache: complete or not there."""

import functools
import json

import numpy as np
import pytest
from etils import epath

from train.data.storage import cache, places
from train.data.storage.prepared_directory import Prepared
from train.errors import UserError

IMAGES = {
    'train': np.arange(600, dtype=np.uint8).reshape(100, 6),
    'test': np.ones((5, 6), np.uint8),
}


def prepared(key='k1'):
    counts = {split: len(rows) for split, rows in IMAGES.items()}
    return Prepared(epath.Path('/nowhere'), 'images', '1.0.0', counts, 'tfrecord', key)


def blocks(split, images=IMAGES):
    return iter(np.array_split(images[split], 3))


def write(directory, source=None, read=blocks):
    splits = {split: functools.partial(read, split) for split in IMAGES}
    return cache.write(directory, source or prepared(), splits)


def rows_of(found, split):
    source = found.source(split)
    return source.gather(np.arange(len(source)))


def find(*directories, key='k1'):
    return cache.find(directories, 'images', '1.0.0', key)


def test_cache_is_found_again_and_is_mapped(tmp_path):
    written = write(tmp_path)
    found = find(tmp_path / 'empty', tmp_path)
    assert found == written
    for split, rows in IMAGES.items():
        np.testing.assert_array_equal(rows_of(found, split), rows)
        mapped = np.load(found.directory / f'{split}.npy', mmap_mode='r')
        np.testing.assert_array_equal(mapped, rows)
        assert mapped.dtype == rows.dtype


def test_second_write_keeps_the_first(tmp_path):
    first = write(tmp_path)
    second = write(tmp_path, read=lambda split: pytest.fail('read again'))
    assert first == second


def test_cache_belongs_to_its_key_and_version(tmp_path):
    write(tmp_path)
    assert find(tmp_path, key='k2') is None
    assert cache.find([tmp_path], 'images', '2.0.0') is None
    assert find(tmp_path, key=None) is not None


def test_fingerprint_is_that_of_the_content(tmp_path):
    first = write(tmp_path / 'a')
    same = write(tmp_path / 'b', prepared('k2'))

    different = write(tmp_path / 'c', read=lambda split: iter([IMAGES[split] ^ 1]))
    assert first.fingerprint == same.fingerprint != different.fingerprint


@pytest.mark.parametrize(
    'damage',
    [
        lambda directory: (directory / 'train.npy').write_bytes(b''),
        lambda directory: truncate(directory / 'train.npy', 1),
        lambda directory: truncate(directory / 'train.npy', 300),
        lambda directory: (directory / 'test.npy').unlink(),
        lambda directory: (directory / 'info.json').unlink(),
        lambda directory: (directory / 'info.json').write_text('{"splits"'),
        lambda directory: (directory / 'info.json').write_text(
            json.dumps({'splits': {'train': {}}})
        ),
        lambda directory: np.save(directory / 'train.npy', IMAGES['train'].reshape(50, 12)),
    ],
)
def test_damaged_cache_is_reported_passed_over_and_made_again(tmp_path, caplog, damage):
    damage(write(tmp_path).directory)
    assert find(tmp_path) is None
    assert 'damaged cache' in caplog.text
    again = write(tmp_path)
    np.testing.assert_array_equal(rows_of(again, 'train'), IMAGES['train'])
    assert find(tmp_path) == again


def truncate(path, count):
    path.write_bytes(path.read_bytes()[:-count])


def test_interrupted_writing_leaves_no_cache(tmp_path):
    def interrupted(split):
        yield IMAGES[split][:3]
        if split == 'test':
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, read=interrupted)
    assert find(tmp_path) is None
    assert not list(tmp_path.glob('*'))[1:]  # the lock file alone


def test_what_a_killed_process_left_is_cleared(tmp_path):
    leftover = tmp_path / f'{cache.UNFINISHED}images-1.0.0-k1-abc'
    leftover.mkdir()
    (leftover / 'train.npy').write_bytes(b'half')
    assert find(tmp_path) is None
    write(tmp_path)
    assert not leftover.exists()


def test_directory_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'cannot be written.*set cache_dir'):
        write(tmp_path / 'file' / 'cache')


class Config:
    data_dir = manual_dir = cache_dir = ''


def test_cache_lies_beside_a_local_writable_dataset_else_in_the_user_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    own = tmp_path / 'xdg/likelihood_zoo/arrays'
    beside = tmp_path / 'data/likelihood_zoo'
    assert places.cache_directories(Config, tmp_path / 'data') == [beside, own]
    assert places.cache_directories(Config, epath.Path('gs://bucket/data')) == [own]
    monkeypatch.setattr(places, 'is_writable', lambda path: False)
    assert places.cache_directories(Config, tmp_path / 'data') == [own, beside]


def test_named_cache_directory_is_the_only_one(tmp_path):
    class Named(Config):
        cache_dir = str(tmp_path / 'named')

    assert places.cache_directories(Named, tmp_path / 'data') == [tmp_path / 'named']
    Named.cache_dir = 'gs://bucket/cache'
    with pytest.raises(UserError, match=r'must be a local directory.*gs://bucket/cache'):
        places.cache_directories(Named)
