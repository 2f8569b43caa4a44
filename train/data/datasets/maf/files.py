"""The files of MAF's collection as raw arrays; what is wrong with one is said in one sentence."""

import math
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from train.data.datasets.maf.old_pickle import read_frame
from train.data.storage.npy import read_header
from train.errors import UserError

REMEDY = "put a fresh copy from MAF's archive in its place"
HEPMASS_COLUMNS = {'1000_train.csv': 28, '1000_test.csv': 29}
DROPPED_GASES = ('Meth', 'Eth', 'Time')
MOST_COMPRESSION = 1032  # the most that deflate shrinks anything
LONGEST_REASON = 200  # of what a library says, which may quote the file
# What h5py raises for files that are damaged, found by damaging them.
HDF5_ERRORS = (OSError, ValueError, RuntimeError, KeyError, MemoryError)


def npy(path: os.PathLike, num_columns: int) -> np.ndarray:
    """A table (n, num_columns), float64, from a `.npy`."""
    try:
        with open(path, 'rb') as file:
            shape, columns_first, dtype = read_header(file)
            _check_kind(path, shape, dtype, num_columns)
            numbers = np.fromfile(file, dtype, math.prod(shape))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return checked(path, numbers.reshape(shape, order='F' if columns_first else 'C'), num_columns)


def pickled_frame(path: os.PathLike) -> tuple[list[str], np.ndarray]:
    """(column names, table (n, columns)) of a DataFrame pickled by an old pandas."""
    try:
        with open(path, 'rb') as file:
            columns, table = read_frame(file)
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    missing = [name for name in DROPPED_GASES if name not in columns]
    if missing:
        raise _refused(path, f'the column {missing[0]} is missing')
    return columns, checked(path, table, len(columns))


def csv(path: os.PathLike) -> np.ndarray:
    """A table of HEPMASS with its header left out."""
    num_columns = HEPMASS_COLUMNS[pathlib.Path(path).name]
    try:
        table = np.loadtxt(path, delimiter=',', skiprows=1, comments=None, ndmin=2)
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    return checked(path, table, num_columns)


def hdf5(path: os.PathLike, splits: Iterable[str], num_columns: int) -> dict[str, np.ndarray]:
    """{split: table (n, num_columns)} from the keys `splits` of an HDF5 file."""
    import h5py  # only this file needs it

    try:
        with h5py.File(path, 'r') as file:
            missing = [split for split in splits if split not in file]
            if missing:
                raise _refused(path, f'the table {missing[0]!r} is missing')
            tables = {split: _hdf5_table(path, file[split], num_columns) for split in splits}
    except HDF5_ERRORS as error:
        raise _unreadable(path, error) from error
    return {split: checked(path, table, num_columns) for split, table in tables.items()}


def _hdf5_table(path: os.PathLike, dataset: Any, num_columns: int) -> np.ndarray:
    """The numbers of a dataset, once its header says that they are a table which the file can hold."""
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise _refused(path, f'a table is expected, found a {type(dataset).__name__}')
    _check_kind(path, dataset.shape, dataset.dtype, num_columns)
    if dataset.is_virtual or dataset.external:
        raise _refused(path, 'its numbers lie in other files')
    filtered = dataset.id.get_create_plist().get_nfilters() > 0
    most = os.path.getsize(path) * (MOST_COMPRESSION if filtered else 1)
    claimed = (
        max(math.prod(dataset.shape), math.prod(dataset.chunks or ())) * dataset.dtype.itemsize
    )
    if claimed > most:
        raise _refused(path, f'its header claims {claimed} bytes of numbers, more than it can hold')
    return dataset[()]


def checked(path: os.PathLike, table: np.ndarray, num_columns: int) -> np.ndarray:
    """The table if it holds finite real numbers in the right columns, as float64 unless float32."""
    _check_kind(path, table.shape, table.dtype, num_columns)
    if not len(table):
        raise _refused(path, 'it has no rows')
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        column = int(np.flatnonzero(~np.isfinite(table[row]))[0])
        raise _refused(path, f'row {row}, column {column} is {table[row, column]}')
    return table


def _check_kind(
    path: os.PathLike, shape: tuple[int, ...] | None, dtype: np.dtype, num_columns: int
) -> None:
    if shape is None or len(shape) != 2 or shape[1] != num_columns:
        raise _refused(path, f'a table of {num_columns} columns is expected, found {shape}')
    if dtype.kind != 'f' or dtype.itemsize < 4:
        raise _refused(path, f'numbers of type float64 or float32 are expected, found {dtype}')


def _refused(path: os.PathLike, reason: str) -> UserError:
    return UserError(f'{path} is not as MAF has it: {reason}; {REMEDY}.')


def _unreadable(path: os.PathLike, error: Exception) -> UserError:
    reason = ' '.join(str(error).split())[:LONGEST_REASON]
    return UserError(f'{path} is damaged or cut short ({reason}): {REMEDY}.')
