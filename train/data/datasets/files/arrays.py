"""Tables as arrays (n, D): `.npy`, `.npz` and HDF5; their columns are called 0, 1, ..."""

import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from train.data.base import SPLITS
from train.data.datasets.files.paths import refused, unreadable
from train.data.datasets.files.values import Values
from train.data.storage.npy import read_header

MOST_COMPRESSION = 1032  # the most that deflate shrinks anything
CELLS = 1 << 22  # that are read at once
# What numpy, zipfile and h5py raise for files that are damaged, found by damaging them.
DAMAGES = (
    *(OSError, ValueError, RuntimeError, KeyError, EOFError, MemoryError, NotImplementedError),
    *(zlib.error, zipfile.BadZipFile),
)


class ArrayTable:
    """An array, memory-mapped or read as it is asked for."""

    def __init__(self, path: pathlib.Path, array: Any, what: str = 'it') -> None:
        self.path = path
        if array.dtype.kind not in 'biuf' or array.ndim != 2:
            raise refused(
                path,
                'hold a table (n, D) of real numbers',
                f'{array.dtype} of shape {tuple(array.shape)} in {what}',
                'save such an array',
            )
        self._array = array
        self.names = tuple(map(str, range(array.shape[1])))

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Values]]:
        """The rows block by block: of each column the numbers, float64, or an Arrow array of texts."""
        import pyarrow as pa

        size = max(1, CELLS // max(1, len(self.names)))
        for start in range(0, len(self._array), size):
            try:
                block = np.asarray(self._array[start : start + size])
            except DAMAGES as error:
                raise unreadable(self.path, error) from error
            if block.dtype.kind == 'b':
                yield [pa.array(block[:, int(name)]).cast(pa.string()) for name in columns]
            else:
                yield [block[:, int(name)].astype(float) for name in columns]


def npy(path: pathlib.Path) -> dict[str, ArrayTable]:
    """The table of a `.npy`, memory-mapped."""
    try:
        with open(path, 'rb') as file:
            read_header(file)
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    except DAMAGES as error:
        raise unreadable(path, error) from error
    return {'': ArrayTable(path, array)}


def npz(path: pathlib.Path) -> dict[str, ArrayTable]:
    """The table of a `.npz`, read whole, or one for each split."""
    try:
        with open(path, 'rb') as file, np.load(file, allow_pickle=False) as archive:
            names = _named(path, archive.files)
            arrays = {split: np.asarray(archive[name]) for split, name in names.items()}
    except DAMAGES as error:
        raise unreadable(path, error) from error
    return {split: ArrayTable(path, array, names[split]) for split, array in arrays.items()}


def hdf5(path: pathlib.Path) -> dict[str, ArrayTable]:
    """The table of an HDF5 file, or one for each split, read as rows are asked for."""
    import h5py  # only this file needs it

    try:
        file = h5py.File(path, 'r')
        names = _named(path, [name for name in file if isinstance(file[name], h5py.Dataset)])
        return {split: _hdf5_table(path, file[name], name) for split, name in names.items()}
    except DAMAGES as error:
        raise unreadable(path, error) from error


def _hdf5_table(path: pathlib.Path, dataset: Any, name: str) -> ArrayTable:
    """A dataset of an HDF5 file, once it is known that the file can hold what its header claims."""
    claimed, most = dataset.size * dataset.dtype.itemsize, MOST_COMPRESSION * path.stat().st_size
    if dataset.is_virtual or dataset.external or claimed > most:
        raise refused(
            path, 'hold its numbers itself', f'{claimed} bytes claimed in {name}', 'save them in it'
        )
    return ArrayTable(path, dataset, name)


def _named(path: pathlib.Path, names: Sequence[str]) -> Mapping[str, str]:
    """Split, or '' for a table that is to be split -> name of the array."""
    if set(SPLITS) <= set(names):
        return {split: split for split in SPLITS}
    if len(names) != 1:
        raise refused(
            path,
            f'hold one array, or one for each of {", ".join(SPLITS)}',
            ', '.join(names) or 'none',
            'save it so',
        )
    return {'': names[0]}
