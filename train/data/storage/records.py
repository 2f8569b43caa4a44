"""Splits as ArrayRecord files of TFDS, one row a record: random access without memory or map.

A few threads read and decode; `train.data.prefetch` keeps them ahead of the step.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from train.data.storage.content import Content
from train.errors import UserError

SUFFIX = '.records'
THREADS = 4
ROWS_PER_THREAD = 64  # fewer are not worth the hand-over to another thread


class RecordSource:
    """Rows of a TFDS random-access data source, `gather`ed by a pool of threads.

    `records` has a length and `__getitems__(list of indices) -> list of serialised examples`;
    `row_bytes` takes the row's bytes out of one, past TFDS's decoding, which would cost more than
    all the rest. `directory` is where they lie, to be named where a record is damaged: `gather` raises
    `UserError` then.
    """

    def __init__(self, records, row_bytes, num_features, dtype, directory):
        self.num_features = num_features
        self._records = records
        self._row_bytes = row_bytes
        self._dtype = np.dtype(dtype)
        self._directory = directory
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix='records')

    def __len__(self):
        return len(self._records)

    def gather(self, indices):
        """Rows `indices` (n,) as a new array (n, D) in the stored dtype."""
        from train.data.acquisition import tfds_io

        indices = np.asarray(indices)
        size = len(self)
        if indices.size and (indices.min() < -size or indices.max() >= size):
            raise IndexError(f'rows of a source of {size} were asked for beyond its end.')
        rows = np.empty((len(indices), self.num_features), self._dtype)

        def read(places):
            try:
                found = self._records.__getitems__((indices[places] % size).tolist())
                for place, record in zip(places, found, strict=True):
                    rows[place] = np.frombuffer(self._row_bytes(record), self._dtype)
            except tfds_io.RECORD_ERRORS as error:
                raise self._damaged(error) from error

        shares = min(THREADS, -(-len(indices) // ROWS_PER_THREAD))
        if shares == 1:
            read(np.arange(len(indices)))
        elif shares:
            list(self._pool.map(read, np.array_split(np.arange(len(indices)), shares)))
        return rows

    def _damaged(self, error):
        reason = ' '.join(str(error).split())
        return UserError(
            f'the cache {self._directory} is damaged ({reason}): delete that folder and run the same command again.'
        )


def write(directory, splits):
    """Write {split: iterator of blocks (n, D)} as one TFDS dataset; returns {split: facts}."""
    from train.data.acquisition import builders  # tensorflow-datasets, for the one writing

    contents = {split: Content(split) for split in splits}
    watched = {split: contents[split].watch(blocks) for split, blocks in splits.items()}
    builders.write_rows(directory, watched)
    return {
        split: {'bytes': _bytes(directory, split), **content.facts()}
        for split, content in contents.items()
    }


def check(directory, split, facts):
    """Raise ValueError or OSError unless the files have the size and the rows on record."""
    size = _bytes(directory, split)
    if size != facts['bytes']:
        raise ValueError(f'{directory} has {size} bytes of {split} instead of {facts["bytes"]}')
    found = len(_records(directory, split))
    if found != facts['shape'][0]:
        raise ValueError(f'{directory} holds {found} rows of {split}; expected {facts["shape"][0]}')


def is_unchanged(directory, split, facts):
    """True: each block of records carries a hash of its own, which is compared whenever it is read."""
    del directory, split, facts
    return True


def source(directory, split, facts):
    """The split as a source that reads what it is asked for and no more."""
    from train.data.acquisition import tfds_io

    records = _records(directory, split)
    return RecordSource(records, tfds_io.row_bytes, facts['shape'][1], facts['dtype'], directory)


def _bytes(directory, split):
    return sum(file.stat().st_size for file in directory.rglob(f'rows-{split}.array_record*'))


def _records(directory, split):
    from train.data.acquisition import tfds_io

    return tfds_io.records(os.fspath(directory), split)
