"""Sources give rows by index; reading ahead changes nothing but the time."""

import threading

import numpy as np
import pytest

from train import data
from train.data import catalogue
from train.data.prefetch import prefetch
from train.data.storage.sources import ArraySource, ItemSource, Subset, as_source, blocks
from train.errors import UserError


@pytest.fixture
def rows():
    return np.arange(60, dtype=np.uint8).reshape(20, 3)


def test_memory_mapped_source_gives_the_same_rows_as_memory(tmp_path, rows):
    np.save(tmp_path / 'rows.npy', rows)
    mapped = ArraySource(np.load(tmp_path / 'rows.npy', mmap_mode='r'))
    indices = np.array([3, 0, 19, 3], np.int32)
    gathered = mapped.gather(indices)
    assert type(gathered) is np.ndarray
    assert gathered.dtype == np.uint8
    np.testing.assert_array_equal(gathered, rows[indices])
    assert len(mapped) == 20


def test_gathered_rows_are_a_copy(rows):
    source = ArraySource(rows)
    source.gather(np.array([1]))[:] = 0
    assert source.gather(np.array([1])).tolist() == [[3, 4, 5]]


def test_source_refuses_anything_but_rows():
    with pytest.raises(ValueError, match=r'shape \(2, 2, 2\)'):
        ArraySource(np.zeros((2, 2, 2)))


@pytest.mark.parametrize('chosen', [range(5, 15), range(4, 20, 3), np.array([7, 2, 2, 19])])
def test_subset_renumbers_rows(rows, chosen):
    subset = Subset(ArraySource(rows), chosen)
    np.testing.assert_array_equal(subset.gather(np.arange(len(subset))), rows[np.array(chosen)])
    np.testing.assert_array_equal(subset.gather(np.array([-1])), rows[[chosen[-1]]])
    with pytest.raises(IndexError, match='beyond its end'):
        subset.gather(np.array([len(subset)]))


def test_blocks_cover_a_source_in_order(rows):
    parts = list(blocks(ArraySource(rows), 7))
    assert [len(indices) for indices, _ in parts] == [7, 7, 6]
    np.testing.assert_array_equal(np.concatenate([block for _, block in parts]), rows)


def as_dicts(rows):
    return [{'image': row.reshape(3, 1), 'label': i} for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ('items', 'feature'),
    [
        (list, None),
        (lambda rows: rows.reshape(20, 1, 3), None),
        (as_dicts, 'image'),
        (lambda rows: [{'image': row} for row in rows], None),
    ],
)
def test_anything_with_a_length_and_items_is_a_source(rows, items, feature):
    source = as_source(items(rows), feature)
    gathered = source.gather(np.array([3, 0, -1, 3]))
    assert gathered.dtype == np.uint8
    np.testing.assert_array_equal(gathered, rows[[3, 0, 19, 3]])
    with pytest.raises(IndexError, match='beyond its end'):
        source.gather([20])


def test_source_is_left_as_it_is(rows):
    source = ArraySource(rows)
    assert as_source(source) is source


@pytest.mark.parametrize('feature', [None, 'pixels'])
def test_items_of_several_features_need_the_name_of_one(rows, feature):
    with pytest.raises(UserError, match=f'one of image, label; found {feature!r}'):
        ItemSource(as_dicts(rows), feature).gather([0])


def test_prefetch_keeps_the_order_and_ends():
    assert list(prefetch(iter(range(50)))) == list(range(50))


def test_prefetch_raises_where_the_reader_failed():
    def reader():
        yield 1
        raise OSError('disk gone')

    items = prefetch(reader())
    assert next(items) == 1
    with pytest.raises(OSError, match='disk gone'):
        next(items)


def test_prefetch_reads_no_further_ahead_than_its_queue_and_stops_with_its_consumer():
    read, before = [], set(threading.enumerate())

    def reader():
        for i in range(1000):
            read.append(i)
            yield i

    items = prefetch(reader(), size=2)
    assert next(items) == 0
    items.close()
    assert set(threading.enumerate()) == before
    assert len(read) <= 4


@pytest.mark.parametrize('limit', [0, 100, 1000])
def test_limit_keeps_the_first_rows_of_each_split(limit):
    config, whole = (catalogue.config_of('digits', max_rows=number) for number in (limit, 0))
    limited, every = data.load(config), data.load(whole)
    sizes = [min(limit or size, size) for size in (1437, 180, 180)]
    assert [*data.describe(config).split_sizes] == [*limited.description.split_sizes] == sizes
    assert (limited.fingerprint == every.fingerprint) == (limit == 0)
    for split, size in zip(data.SPLITS, sizes, strict=True):
        assert len(limited.source(split)) == size
        rows = np.arange(size)
        np.testing.assert_array_equal(
            limited.source(split).gather(rows), every.source(split).gather(rows)
        )


def test_negative_limit_is_refused():
    with pytest.raises(UserError, match='max_rows must be at least 0; found -1'):
        data.describe(catalogue.config_of('digits', max_rows=-1))
