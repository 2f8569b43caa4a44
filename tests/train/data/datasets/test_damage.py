"""Files from elsewhere that are damaged or hostile: one sentence or a table, never more memory than they are worth."""

import io
import pathlib
import struct
import tracemalloc

import numpy as np
import pytest

from tests.helpers import damages, maf_samples
from train.data.base import SPLITS
from train.data.datasets.maf import files, plain_pickle
from train.data.datasets.maf.old_pickle import read_frame
from train.data.preprocessing import fit_cache
from train.errors import UserError

PROTOCOL = b'\x80\x04'


@pytest.fixture(scope='module')
def frame():
    """A pickle of 20 rows of 15 columns, as Python 2 wrote it."""
    return maf_samples.old_pickle(maf_samples.GAS_COLUMNS, maf_samples.gas_table(20))


def assert_refused_in_one_sentence(content, message=''):
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=f'is not a table pickled by pandas.*{message}'
        ) as error:
            read_frame(io.BytesIO(content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert '\n' not in str(error.value)
    assert peak < 10_000_000 + 4 * len(content)


@pytest.mark.parametrize('python', [2, 3])
def test_randomly_damaged_pickle_is_one_sentence_or_a_table_of_numbers(python):
    content = maf_samples.old_pickle(maf_samples.GAS_COLUMNS, maf_samples.gas_table(20), python)
    sentences = []
    for seed in range(100):
        try:
            columns, values = read_frame(io.BytesIO(damages.damaged(content, seed)))
        except ValueError as error:
            sentences.append(str(error))
        else:
            assert (values.dtype, values.shape) == (np.float64, (20, len(columns)))
    assert len(sentences) > 50
    assert '\n' not in ''.join(sentences)


BOMBS = {
    'bytes beyond the file': (b'\x8e' + struct.pack('<Q', 2**62) + b'.', 'are claimed where 1 are'),
    'text beyond the file': (b'\x8d' + struct.pack('<Q', 2**63), 'are claimed where 0 are left'),
    'negative length': (b'T' + struct.pack('<i', -1) + b'.', '-1 bytes are claimed'),
    'endless integer': (b'\x8b' + struct.pack('<i', 2**31 - 1), 'does not belong'),
    'far memo': (b'Nr\xff\xff\xff\xff.', 'a object is expected'),
    'memo that is not there': (b'j\xff\xff\xff\xff.', 'takes from its stack'),
    'deep lists': (b']' * 4000 + b'a' * 3999 + b'.', 'a object is expected'),
    'deep tuples as a key': (b'})' + b'\x85' * 5000 + b'Ns.', 'a name is expected'),
    'marks': (b'(' * 1_000_000, 'more than 10000 opcodes'),
    'copies': (b'N' + b'2' * 1_000_000, 'does not belong'),
    'lists': (b']' * 1_000_000, 'more than 10000 opcodes'),
    'empty stack': (b'0.', 'does not belong'),
    'no end': (b'N', '1 bytes are claimed where 0'),
    'a call of what is no name': (b'U\x02os)R.', 'a Name is expected'),
    'a call of a persistent object': (b'Pos\n.', 'does not belong'),
    'an extension': (b'\x82\x01.', 'does not belong'),
    'state for a list': (b']Nb.', 'a Made is expected'),
}


@pytest.mark.parametrize('bomb', BOMBS)
def test_pickle_that_claims_more_than_it_is_is_refused(bomb):
    content, message = BOMBS[bomb]
    assert_refused_in_one_sentence(PROTOCOL + content, message)


def replaced(content, old, new):
    assert old in content
    return content.replace(old, new)


FORGED = {
    'pointers for numbers': (b'f8', b'O8', 'must hold numbers of type f4, f8, i4, i8'),
    'text for numbers': (b'f8', b'U8', 'must hold numbers'),
    'half precision': (b'f8', b'f2', 'must hold numbers'),
    'no byte order': (b'X\x01\x00\x00\x00<', b'X\x01\x00\x00\x00|', 'must hold numbers'),
    'more rows': (b'K\x0fK\x14', b'K\x0fJ\xff\xff\xff\x7f', 'do not fit its shape'),
    'a negative size': (b'K\x0fK\x14', b'K\x0fJ\xff\xff\xff\xff', 'a negative size'),
    'a longer index': (b'T\xa0\x00\x00\x00', b'T\xff\xff\xff\x7f', 'are claimed where'),
    'another class': (b'numpy\nndarray', b'numpy\nmemmap', r'numpy\.memmap does not belong'),
    'another function': (b'_reconstruct', b'scalar', r'multiarray\.scalar does not belong'),
}


@pytest.mark.parametrize('forgery', FORGED)
def test_forged_array_is_never_built(frame, forgery):
    old, new, message = FORGED[forgery]
    assert_refused_in_one_sentence(replaced(frame, old, new), message)


def made(path, *arguments, state=None):
    return plain_pickle.Made(plain_pickle.Name(path), arguments, state)


def test_rows_claimed_by_an_index_alone_are_refused(frame, monkeypatch):
    honest = plain_pickle.load(frame, lambda path: True)
    axes = honest.state['_data'].state[0]
    axes[1].arguments[1].clear()
    axes[1].arguments[1].update(start=0, stop=10**15, step=1)
    monkeypatch.setattr(plain_pickle, 'load', lambda content, belongs: honest)
    assert_refused_in_one_sentence(frame, 'not of the size of its axes')


def test_one_array_named_for_many_blocks_is_refused(frame, monkeypatch):
    honest = plain_pickle.load(frame, lambda path: True)
    axes, *_, extra = honest.state['_data'].state
    names = axes[0].arguments[1]['data'].state
    values = extra['0.14.1']['blocks'][0]['values']
    blocks = [
        {'values': values, 'mgr_locs': made('builtins.slice', 15 * i, 15 * i + 15, 1)}
        for i in range(1000)
    ]
    extra['0.14.1']['blocks'] = blocks
    axes[0].arguments[1]['data'].state = (1, (15_000,), *names[2:4], names[4] * 1000)
    monkeypatch.setattr(plain_pickle, 'load', lambda content, belongs: honest)
    assert_refused_in_one_sentence(frame, 'claim more numbers than the file holds')


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    return maf_samples.write(tmp_path_factory.mktemp('maf') / 'data')


READERS = {
    'power/data.npy': (lambda path: files.npy(path, 8), 128),
    'BSDS300/BSDS300.hdf5': (lambda path: files.hdf5(path, SPLITS, 63), 2048),
    'hepmass/1000_test.csv': (files.csv, 2048),
}


@pytest.mark.parametrize('file', READERS)
@pytest.mark.filterwarnings('ignore::SyntaxWarning')  # of numpy, for a header it refuses
def test_randomly_damaged_header_is_one_sentence_or_a_table(samples, tmp_path, file):
    read, extent = READERS[file]
    content, path = (samples / file).read_bytes(), tmp_path / pathlib.Path(file).name
    sentences = []
    for seed in range(60):
        path.write_bytes(damages.damaged(content, seed, extent))
        try:
            read(path)
        except UserError as error:
            sentences.append(str(error))
    assert len(sentences) > 20
    assert all(str(path) in sentence and len(sentence) < 500 for sentence in sentences)
    assert '\n' not in ''.join(sentences)


def claim(rows, file):
    """A header of so many rows without any."""
    header = {'descr': '<f8', 'fortran_order': False, 'shape': (rows, 8)}
    np.lib.format.write_array_header_1_0(file, header)


@pytest.mark.parametrize('rows', [10**6, 10**12, 10**18, -1])
def test_npy_that_claims_rows_it_does_not_have_is_refused(tmp_path, rows):
    path = tmp_path / 'data.npy'
    with open(path, 'wb') as file:
        claim(rows, file)
    with pytest.raises(UserError, match=r'data\.npy is damaged or cut short'):
        files.npy(path, 8)


HDF5 = {
    'sparse': ({'shape': (10**12, 63), 'dtype': 'f4'}, 'more than it can hold'),
    'sparse in chunks': (
        {'shape': (10**12, 63), 'dtype': 'f4', 'chunks': (100, 63)},
        'more than it can hold',
    ),
    'sparse and compressed': (
        {'shape': (10**12, 63), 'dtype': 'f4', 'compression': 'gzip'},
        'more than it can hold',
    ),
    'a large chunk': (
        {'shape': (1, 63), 'maxshape': (None, 63), 'dtype': 'f4', 'chunks': (10**6, 63)},
        'more than it can hold',
    ),
    'in another file': (
        {'shape': (5, 63), 'dtype': 'f4', 'external': [('elsewhere', 0, 5 * 63 * 4)]},
        'lie in other files',
    ),
    'scalar': ({'data': 1.0}, r'63 columns is expected, found \(\)'),
    'empty': ({'dtype': 'f4'}, '63 columns is expected, found None'),
    'text': ({'data': np.full((3, 63), b'x')}, 'float64 or float32 are expected'),
}


@pytest.mark.parametrize('kind', HDF5)
def test_hdf5_that_is_no_table_or_claims_too_much_is_refused(tmp_path, kind):
    import h5py

    fields, message = HDF5[kind]
    with h5py.File(tmp_path / 'file.hdf5', 'w') as file:
        if kind == 'empty':
            file['train'] = h5py.Empty('f4')
        else:
            file.create_dataset('train', **fields)
    with pytest.raises(UserError, match=message):
        files.hdf5(tmp_path / 'file.hdf5', ('train',), 63)


def test_hdf5_group_in_place_of_a_table_is_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / 'file.hdf5', 'w') as file:
        file.create_group('train')
    with pytest.raises(UserError, match='a table is expected, found a Group'):
        files.hdf5(tmp_path / 'file.hdf5', ('train',), 63)


def test_compressed_hdf5_is_read(tmp_path):
    import h5py

    rows = np.zeros((5000, 63), np.float32)  # as compressible as can be
    with h5py.File(tmp_path / 'file.hdf5', 'w') as file:
        file.create_dataset('train', data=rows, compression='gzip')
    np.testing.assert_array_equal(files.hdf5(tmp_path / 'file.hdf5', ('train',), 63)['train'], rows)


def test_randomly_damaged_fit_is_made_again(tmp_path, caplog):
    path = tmp_path / 'fit.npz'
    np.savez(path, mean=np.arange(50.0))
    content, found = path.read_bytes(), []
    for seed in range(150):
        path.write_bytes(damages.damaged(content, seed))
        found.append(fit_cache._read(path))
    assert found.count(None) > 100
    assert caplog.text.count('Ignoring the damaged fit') == found.count(None)
    for fit in found:
        if fit is not None:
            np.testing.assert_array_equal(fit.get('mean', np.arange(50.0)), np.arange(50.0))
