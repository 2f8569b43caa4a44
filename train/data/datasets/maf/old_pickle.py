"""Read a DataFrame that an old pandas (0.14 to 0.25, Python 2 or 3) pickled, without pandas.

Such a file holds a block manager: the axes, and blocks of values with the columns they belong to. It
is read as a tree of plain values (`plain_pickle`), in which only the few names that such a file needs
are understood. Arrays are made here, of the types of number listed here, from bytes whose number
fits the shape; nothing of numpy's or pandas's own unpickling runs.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from train.data.datasets.maf import plain_pickle
from train.data.datasets.maf.plain_pickle import Made, text

LAYOUT = '0.14.1'  # pandas's name of the block layout in the pickle's state
NUMBERS = ('f4', 'f8', 'i4', 'i8')
OBJECTS = ('O', 'O4', 'O8')  # columns are named by an array of these, given as a list
BYTE_ORDERS = ('<', '>')
RECONSTRUCT = ('numpy.core.multiarray._reconstruct', 'numpy._core.multiarray._reconstruct')
SLICE = ('__builtin__.slice', 'builtins.slice')
FIXED = ('pandas.core.frame.DataFrame', 'numpy.ndarray', 'numpy.dtype', *RECONSTRUCT, *SLICE)
PANDAS = r'pandas\.[\w.]+\.(BlockManager|_new_Index|\w*Index)'  # its modules have moved


def read_frame(file: BinaryIO) -> tuple[list[str], np.ndarray]:
    """(column names, float64 values (rows, columns)) of the DataFrame in an open binary file.

    Raises ValueError where the file holds something else or is cut short.
    """
    content = file.read()
    try:
        return _table(plain_pickle.load(content, _belongs), len(content))
    except ValueError as error:
        raise ValueError(f'it is not a table pickled by pandas 0.14 to 0.25: {error}') from error


def _belongs(path: str) -> bool:
    return path in FIXED or re.fullmatch(PANDAS, path, re.ASCII) is not None


def _table(frame: Any, num_bytes: int) -> tuple[list[str], np.ndarray]:
    state = _made(frame, 'DataFrame').state
    manager = _made(_of(state, '_data') if isinstance(state, dict) else state, 'BlockManager')
    axes, *_, extra = _sequence(manager.state, 2)
    columns, index = (_index(axis) for axis in _sequence(axes, 2)[:2])
    columns, num_rows = _names(columns), _length(index)
    blocks = _sequence(_of(_of(extra, LAYOUT), 'blocks'))
    parts = [
        (_places(_of(block, 'mgr_locs'), len(columns)), _numbers(_of(block, 'values'), 2))
        for block in blocks
    ]
    if any(values.shape != (len(places), num_rows) for places, values in parts):
        raise ValueError('its blocks are not of the size of its axes')
    if sum(len(places) for places, _ in parts) != len(columns):
        raise ValueError('its blocks do not give every column once')
    # One array may be named again and again: what is claimed in all must be there.
    if sum(values.nbytes for _, values in parts) > num_bytes:
        raise ValueError('its blocks claim more numbers than the file holds')
    if sorted(place for places, _ in parts for place in places) != list(range(len(columns))):
        raise ValueError('its blocks do not give every column once')
    table = np.empty((num_rows, len(columns)))
    for places, values in parts:
        table[:, list(places)] = values.T
    return columns, table


def _index(axis: Any) -> Any:
    """The array of an index, or the range that stands for it."""
    arguments = _sequence(_made(axis, '_new_Index').arguments, 2)[1]
    if 'data' in _expect(arguments, dict, 'dict'):
        return arguments['data']
    bounds = [_integer(_of(arguments, name)) for name in ('start', 'stop', 'step')]
    if not bounds[2]:
        raise ValueError('its index has a step of 0')
    return range(*bounds)


def _length(index: Any) -> int:
    if isinstance(index, range):
        return max(0, -(-(index.stop - index.start) // index.step))
    shape, *_ = _array(index)
    return shape[0] if shape else 0


def _names(index: Any) -> list[str]:
    """The names of the columns, an array of objects that is a list."""
    shape, code, _, _, values = _array(index)
    if code not in OBJECTS or shape != (len(_sequence(values)),):
        raise ValueError('the names of its columns are no list')
    return [str(value) if isinstance(value, int) else text(value) for value in values]


def _places(place: Any, num_columns: int) -> Sequence[int]:
    """The columns that a block fills: a slice, or an array of integers."""
    if isinstance(place, Made) and _name(place) in SLICE:
        start, stop, step = (_integer(bound) for bound in _sequence(place.arguments, 3))
        if step < 1 or not 0 <= start <= stop <= num_columns:
            raise ValueError('a block names columns that are not there')
        return range(start, stop, step)
    return _numbers(place, 1).astype(np.int64).tolist()


def _numbers(made: Any, num_axes: int) -> np.ndarray:
    """An array of numbers with so many axes, a view of the file's bytes."""
    shape, code, order, is_fortran, content = _array(made)
    if code not in NUMBERS or order not in BYTE_ORDERS or len(shape) != num_axes:
        known = ', '.join(NUMBERS)
        raise ValueError(f'its arrays must hold numbers of type {known} along {num_axes} axes')
    dtype = np.dtype(order + code)
    if len(_expect(content, memoryview, 'bytes')) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f'an array has {len(content)} bytes, which do not fit its shape')
    return np.frombuffer(content, dtype).reshape(shape, order='F' if is_fortran is True else 'C')


def _array(made: Any) -> tuple[tuple[int, ...], str, str, Any, Any]:
    """(shape, code of the type, byte order, whether columns come first, content) of an array."""
    if _name(made) not in RECONSTRUCT:
        raise ValueError('an array is expected where something else is found')
    _, shape, dtype, is_fortran, content = _sequence(made.state, 5)
    shape = tuple(_integer(size) for size in _sequence(shape))
    if any(size < 0 for size in shape):
        raise ValueError('an array has a negative size')
    code = text(_sequence(_made(dtype, 'dtype').arguments, 1)[0])
    order = '<'
    if dtype.state is not None:
        _, order, *parts = _sequence(dtype.state, 5)
        if any(part is not None for part in parts[:3]):
            raise ValueError('its arrays must hold plain numbers')
        order = text(order)
    return shape, code, order, is_fortran, content


def _made(value: Any, name: str) -> Made:
    """The `Made` of the class or function of that name."""
    if _name(value).rpartition('.')[2] != name:
        raise ValueError(f'a {name} is expected where something else is found')
    return value


def _name(value: Any) -> str:
    return _expect(value, Made, 'object').name.path


def _of(mapping: Any, key: str) -> Any:
    if key not in _expect(mapping, dict, 'dict'):
        raise ValueError(f'{key} is missing')
    return mapping[key]


def _sequence(value: Any, least: int = 0) -> Sequence:
    if not isinstance(value, list | tuple) or len(value) < least:
        raise ValueError(f'a list of {least} or more is expected where something else is found')
    return value


def _integer(value: Any) -> int:
    return _expect(value, int, 'whole number')


def _expect(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f'a {what} is expected where a {type(value).__name__} is found')
    return value
