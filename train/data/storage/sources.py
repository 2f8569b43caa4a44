"""Sources: a length, and rows by index. A memory-mapped array is an array like any other."""

import numpy as np


class ArraySource:
    """Rows of a 2-D array, in memory or memory-mapped."""

    def __init__(self, array):
        if array.ndim != 2:
            raise ValueError(f'a source holds rows (n, D); found an array of shape {array.shape}.')
        # The plain view keeps numpy from wrapping every gathered block in a memmap.
        self._array = array.view(np.ndarray)

    @property
    def num_features(self):
        return self._array.shape[1]

    def __len__(self):
        return len(self._array)

    def gather(self, indices):
        """Rows `indices` (n,) as a new array (n, D) in the stored dtype."""
        return self._array[np.asarray(indices)]


class Subset:
    """The rows of another source named by a `range` or an integer array, without a copy."""

    def __init__(self, source, rows):
        self._source = source
        self._rows = rows

    @property
    def num_features(self):
        return self._source.num_features

    def __len__(self):
        return len(self._rows)

    def gather(self, indices):
        """Rows `indices` (n,) of the subset as a new array (n, D) in the stored dtype."""
        indices = np.asarray(indices)
        size = len(self)
        if indices.size and (indices.min() < -size or indices.max() >= size):
            raise IndexError(f'rows of a subset of {size} were asked for beyond its end.')
        indices = np.where(indices < 0, indices + size, indices)
        if isinstance(self._rows, range):
            return self._source.gather(self._rows.start + self._rows.step * indices)
        return self._source.gather(self._rows[indices])


def blocks(source, size):
    """Yield (rows (n,), block (n, D)) over the whole source in order, `size` rows at a time."""
    for start in range(0, len(source), size):
        rows = np.arange(start, min(start + size, len(source)))
        yield rows, source.gather(rows)
