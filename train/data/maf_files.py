"""The files of MAF's collection as raw arrays; what is wrong with one is said in one sentence."""

import pathlib

import numpy as np

from train.data.old_pickle import read_frame
from train.errors import UserError

REMEDY = "put a fresh copy from MAF's archive in its place"
HEPMASS_COLUMNS = {'1000_train.csv': 28, '1000_test.csv': 29}
DROPPED_GASES = ('Meth', 'Eth', 'Time')


def npy(path, num_columns):
    """A table (n, num_columns), float64, from a `.npy`."""
    try:
        with open(path, 'rb') as file:
            table = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(table, np.ndarray):
        raise _refused(path, 'it is an archive of arrays instead of one array')
    return checked(path, table, num_columns)


def pickled_frame(path):
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


def csv(path):
    """A table of HEPMASS with its header left out."""
    num_columns = HEPMASS_COLUMNS[pathlib.Path(path).name]
    try:
        table = np.loadtxt(path, delimiter=',', skiprows=1, comments=None, ndmin=2)
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    return checked(path, table, num_columns)


def hdf5(path, splits, num_columns):
    """{split: table (n, num_columns)} from the keys `splits` of an HDF5 file."""
    import h5py  # only this file needs it

    try:
        with h5py.File(path, 'r') as file:
            missing = [split for split in splits if split not in file]
            if missing:
                raise _refused(path, f'the table {missing[0]!r} is missing')
            tables = {split: file[split][()] for split in splits}
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise _unreadable(path, error) from error
    return {split: checked(path, table, num_columns) for split, table in tables.items()}


def checked(path, table, num_columns):
    """The table if it holds finite real numbers in the right columns, as float64 unless float32."""
    if table.ndim != 2 or table.shape[1] != num_columns:
        raise _refused(path, f'a table of {num_columns} columns is expected, found {table.shape}')
    if table.dtype.kind != 'f' or table.dtype.itemsize < 4:
        raise _refused(
            path, f'numbers of type float64 or float32 are expected, found {table.dtype}'
        )
    if not len(table):
        raise _refused(path, 'it has no rows')
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        column = int(np.flatnonzero(~np.isfinite(table[row]))[0])
        raise _refused(path, f'row {row}, column {column} is {table[row, column]}')
    return table


def _refused(path, reason):
    return UserError(f'{path} is not as MAF has it: {reason}; {REMEDY}.')


def _unreadable(path, error):
    reason = ' '.join(str(error).split())
    return UserError(f'{path} is damaged or cut short ({reason}): {REMEDY}.')
