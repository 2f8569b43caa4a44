"""Files from elsewhere that are damaged or hostile: one sentence or a table, never more memory than they are worth."""

import io
import os
import pathlib
import struct
import tracemalloc

import numpy as np
import pytest

from tests import damages, maf_samples
from train.data import plain_pickle
from train.data.old_pickle import read_frame

MAF_DIR = pathlib.Path(os.environ.get('MAF_DIR') or 'absent')
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
