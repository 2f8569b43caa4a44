"""Read a DataFrame that an old pandas (0.14 to 0.25, Python 2 or 3) pickled, without pandas.

Such a file holds a block manager: the axes, and blocks of values with the columns they belong to.
The few names it needs are resolved to stand-ins and every other is refused, so a file cannot make
this run code of its own.
"""

import pickle

import numpy as np
from numpy._core.multiarray import _reconstruct

LAYOUT = '0.14.1'  # pandas's name of the block layout in the pickle's state


class _State:
    """Stands in for DataFrame and BlockManager: keeps the state that pickle gives."""

    state = None

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        self.state = state


class _Index:
    """Stands in for the class of an index; only the values that come with it matter."""


def _new_index(cls, arguments):
    del cls
    if 'data' in arguments:
        return arguments['data']
    return range(arguments['start'], arguments['stop'], arguments['step'])


NAMES = {
    ('pandas.core.frame', 'DataFrame'): _State,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy._core.multiarray', '_reconstruct'): _reconstruct,
    ('__builtin__', 'slice'): slice,
    ('builtins', 'slice'): slice,
}
PANDAS_NAMES = {'BlockManager': _State, '_new_Index': _new_index}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in NAMES:
            return NAMES[module, name]
        if module.startswith('pandas.'):
            if name in PANDAS_NAMES:
                return PANDAS_NAMES[name]
            if name.endswith('Index'):
                return _Index
        raise pickle.UnpicklingError(f'{module}.{name} does not belong in a table of numbers')


def read_frame(file):
    """(column names, float64 values (rows, columns)) of the DataFrame in an open binary file.

    Raises ValueError where the file holds something else or is cut short.
    """
    try:
        # Python 2 wrote the bytes of arrays as text; latin1 gives them back one by one.
        frame = _Unpickler(file, encoding='latin1').load()
        state = frame.state
        manager = state['_data'] if isinstance(state, dict) else state
        axes, *_, extra = manager.state
        blocks = extra[LAYOUT]['blocks']
        columns = [str(column) for column in axes[0]]
        values = np.full((len(axes[1]), len(columns)), np.nan)
        for block in blocks:
            values[:, block['mgr_locs']] = np.asarray(block['values'], np.float64).T
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f'it is not a table pickled by pandas 0.14 to 0.25: {error}') from error
    return columns, values
