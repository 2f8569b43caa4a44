"""Small tables in the layout of MAF's archive, and pickles as an old pandas wrote them."""

import io
import pickle
import struct
import sys
import types

import numpy as np

from train.data.datasets.maf.dataset import TABLES

GAS_COLUMNS = ['Time', 'Meth', 'Eth', *(f'S{i}' for i in range(1, 13))]


def rng():
    return np.random.default_rng(0)


def power_table(n=200):
    return rng().normal(size=(n, 8)) * [1, 1, 5, 2, 1, 1, 6, 400] + 3


def gas_table(n=150):
    """Twelve sensors: eight of their own, four that nearly repeat the sensor behind them."""
    own = rng().normal(size=(n, 8))
    repeats = own[:, ::2] + 0.01 * rng().normal(size=(n, 4))
    pairs = [np.stack([repeats[:, i], own[:, 2 * i], own[:, 2 * i + 1]], 1) for i in range(4)]
    return np.concatenate([np.arange(n)[:, None] * np.ones((1, 3)), *pairs], axis=1)


def hepmass_table(n=200, test=False):
    """Label and 27 features; six of them are discrete with a smallest value that is frequent."""
    draws = rng()
    x = draws.normal(size=(n, 28 + test))
    for column in (6, 10, 14, 18, 22, 25):
        x[:, column] = draws.integers(0, 3, n)
    x[:5, 1] = -9.0  # five equal smallest values are still kept
    x[:, 0] = draws.integers(0, 2, n)
    x[:5, 0] = 1
    if test:
        x[:, -1] = 1000.0
    return x


def write(folder):
    """All five tables under `folder`; returns it."""
    import h5py

    for file in {file.split('/')[0] for table in TABLES for file in table.table.files}:
        (folder / file).mkdir(parents=True)
    np.save(folder / 'power/data.npy', power_table())
    np.save(folder / 'miniboone/data.npy', rng().normal(size=(100, 43)) + 2)
    (folder / 'gas/ethylene_CO.pickle').write_bytes(old_pickle(GAS_COLUMNS, gas_table()))
    header = 'label,' + ','.join(f'f{i}' for i in range(27))
    np.savetxt(folder / 'hepmass/1000_train.csv', hepmass_table(), delimiter=',', header=header)
    test = hepmass_table(120, test=True)
    header += ',mass'
    np.savetxt(folder / 'hepmass/1000_test.csv', test, delimiter=',', header=header)
    with h5py.File(folder / 'BSDS300/BSDS300.hdf5', 'w') as file:
        for split, size in {'train': 50, 'validation': 10, 'test': 20}.items():
            file[split] = rng().normal(size=(size, 63)).astype(np.float32)
    return folder


class _Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its str."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_bytes(self, data):
        self.write(b'T' + struct.pack('<i', len(data)) + data)

    dispatch[bytes] = save_bytes


def _stateful(module, name):
    """A class that pickles as object plus state, under the name of a class of pandas."""

    def reduce(self, protocol):
        return self.__class__, (), self.state

    return type(name, (), {'__module__': module, '__reduce_ex__': reduce})


def old_pickle(columns, table, python=2):
    """The bytes of `DataFrame.to_pickle` under pandas 0.19 (Python 2) or 0.20 (Python 3)."""
    modules = {
        'pandas.core.frame': ['DataFrame'],
        'pandas.core.internals': ['BlockManager'],
        'pandas.indexes.base': ['_new_Index', 'Index'],
    }
    fakes = {name: types.ModuleType(name) for name in ('pandas', 'pandas.core', 'pandas.indexes')}
    for module, names in modules.items():
        fakes[module] = types.ModuleType(module)
        for name in names:
            setattr(fakes[module], name, _stateful(module, name))
    index = fakes['pandas.indexes.base']

    def new_index(cls, arguments):
        raise AssertionError('only its name is pickled')

    new_index.__module__, new_index.__qualname__ = index.__name__, '_new_Index'
    index._new_Index = new_index

    class Reduced:
        def __init__(self, data):
            self.data = data

        def __reduce__(self):
            return index._new_Index, (index.Index, {'data': self.data, 'name': None})

    manager = fakes['pandas.core.internals'].BlockManager()
    axes = [Reduced(np.array(columns, object)), Reduced(np.arange(len(table))[::-1].copy())]
    block = {'values': np.ascontiguousarray(table.T), 'mgr_locs': slice(0, len(columns), 1)}
    manager.state = (
        axes,
        [block['values']],
        [axes[0]],
        {'0.14.1': {'axes': axes, 'blocks': [block]}},
    )
    frame = fakes['pandas.core.frame'].DataFrame()
    frame.state = {'_data': manager, '_typ': 'dataframe', '_metadata': []}
    return _dump(frame, fakes, python)


def _dump(frame, fakes, python):
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name in fakes}
    sys.modules.update(fakes)
    try:
        buffer = io.BytesIO()
        if python == 2:
            _Python2Pickler(buffer, 2).dump(frame)
        else:
            pickle._Pickler(buffer, 4).dump(frame)
    finally:
        for name in fakes:
            del sys.modules[name]
        sys.modules.update(kept)
    # Names are plain lines in protocol 2 only; in protocol 4 they carry their length.
    content = buffer.getvalue()
    return content.replace(b'cnumpy._core.', b'cnumpy.core.') if python == 2 else content
