"""One dataset three ways: in memory, memory-mapped, read record by record. The batches are the same."""

import functools
import itertools
import threading
import tracemalloc

import numpy as np
import pytest
from etils import epath

from train.data import batches
from train.data.acquisition.prepared import Prepared
from train.data.prefetch import prefetch
from train.data.storage import arrays, cache, records

ROWS = np.random.default_rng(0).integers(0, 256, (1003, 784)).astype(np.uint8)


def blocks(split):
    return iter(np.array_split(ROWS if split == 'train' else ROWS[:7], 5))


def write(directory, form):
    prepared = Prepared(epath.Path('/nowhere'), 'images', '1.0.0', {}, 'tfrecord', 'k1')
    splits = {split: functools.partial(blocks, split) for split in ('train', 'test')}
    return cache.write(directory, prepared, splits, form)


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp('cache')
    for form in (arrays, records):
        write(directory, form)
    return directory


@pytest.fixture
def sources(directory):
    mapped, streamed = (
        cache.find([directory], 'images', '1.0.0', form=form) for form in (arrays, records)
    )
    assert mapped.fingerprint == streamed.fingerprint
    assert mapped.directory != streamed.directory
    return {
        'memory': mapped.source('train', in_memory=True),
        'map': mapped.source('train'),
        'stream': streamed.source('train'),
    }


def epochs(source, start_step=0, number=2, steps_per_call=7, **share):
    """(rows, indices) of every chunk from a step to the end of its epoch and the next ones."""
    share = {'process_index': 0, 'process_count': 1, **share}
    per_epoch = batches.steps_per_epoch(len(source), 40)
    for epoch in range(number):
        first = start_step if epoch == 0 else (start_step // per_epoch + epoch) * per_epoch
        shares = batches.Shares(4, **share)
        deal = lambda rows, shares=shares: shares.of(rows[:, 0])  # noqa: E731
        yield from prefetch(batches.chunks(source, [3], first, 40, steps_per_call, deal))


def joined(chunks):
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


@pytest.mark.parametrize('kind', ['map', 'stream'])
@pytest.mark.parametrize('start_step', [0, 13])
def test_batches_are_those_from_memory_bit_for_bit_over_two_epochs(sources, kind, start_step):
    expected = joined(epochs(sources['memory'], start_step))
    found = joined(epochs(sources[kind], start_step))
    for left, right in zip(expected, found, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize('kind', ['memory', 'map', 'stream'])
def test_resumed_run_goes_on_with_the_batches_of_the_whole_one(sources, kind):
    whole, _ = joined(epochs(sources[kind]))
    rest, _ = joined(epochs(sources[kind], start_step=13))
    np.testing.assert_array_equal(whole[13:], rest)


def test_each_process_reads_only_its_share(sources):
    class Recorder:
        def __init__(self, source):
            self.source, self.read = source, []

        def __len__(self):
            return len(self.source)

        def gather(self, indices):
            self.read.append(np.array(indices))
            return self.source.gather(indices)

    parts = [Recorder(sources['stream']) for _ in range(2)]
    for process, part in enumerate(parts):
        joined(epochs(part, number=1, process_index=process, process_count=2))
    read = [np.concatenate(part.read) for part in parts]
    assert [len(rows) for rows in read] == [500, 500]
    assert not np.intersect1d(*read).size


@pytest.mark.parametrize('n', [0, 1, 63, 64, 65, 1003])
def test_threads_put_every_row_in_its_place(sources, n):
    indices = np.random.default_rng(n).permutation(1003)[:n]
    np.testing.assert_array_equal(sources['stream'].gather(indices), ROWS[indices])


def test_rows_are_counted_from_the_end_too_and_bounds_are_kept(sources):
    source = sources['stream']
    np.testing.assert_array_equal(source.gather([-1, -1003]), ROWS[[-1, 0]])
    with pytest.raises(IndexError, match='source of 1003'):
        source.gather([1003])
    assert (len(source), source.num_features) == (1003, 784)


def test_stream_holds_no_more_than_the_chunks_ahead(sources):
    """Whatever the length of an epoch: the consumer's chunk, two in the queue, one being read."""
    chunks = prefetch(batches.chunks(sources['stream'], [3], 0, 40, 1, lambda rows: rows))
    next(chunks)
    tracemalloc.start()
    try:
        for _ in itertools.islice(chunks, 20):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        chunks.close()
    # Four chunks of rows, and as much again for the records that they are decoded from.
    assert peak < 3 * 4 * 40 * 784 + 200_000 < ROWS.nbytes


def test_several_readers_at_a_time(sources):
    source, failures = sources['stream'], []

    def read(seed):
        indices = np.random.default_rng(seed).integers(0, 1003, 300)
        if not np.array_equal(source.gather(indices), ROWS[indices]):
            failures.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    'damage',
    [
        lambda file: file.write_bytes(file.read_bytes()[:-70_000]),
        lambda file: file.write_bytes(b''),
        lambda file: file.unlink(),
        lambda file: (file.parent / 'dataset_info.json').unlink(),
    ],
)
def test_damaged_records_are_reported_and_made_again(tmp_path, caplog, damage):
    found = write(tmp_path, records)
    (file,) = found.directory.rglob('rows-train.array_record*')
    damage(file)
    assert cache.find([tmp_path], 'images', '1.0.0', form=records) is None
    assert 'damaged cache' in caplog.text
    again = write(tmp_path, records).source('train')
    np.testing.assert_array_equal(again.gather(np.arange(1003)), ROWS)


def test_rows_of_tables_keep_their_bits(tmp_path):
    table = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    prepared = Prepared(epath.Path('/nowhere'), 'table', '1.0.0', {}, 'array_record', 'k1')
    found = cache.write(tmp_path, prepared, {'train': lambda: iter([table])}, records)
    rows = found.source('train').gather(np.arange(30))
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, table)
