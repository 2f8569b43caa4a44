"""Splits as `.npy` files, written block by block and memory-mapped."""

import hashlib

import numpy as np

from train.data.storage.content import Content
from train.data.storage.npy import read_header
from train.data.storage.sources import ArraySource

SUFFIX = ''


def write(directory, splits):
    """Write {split: iterator of blocks (n, D)}; returns {split: facts}."""
    return {split: _write(directory, split, blocks) for split, blocks in splits.items()}


def check(directory, split, facts):
    """Raise ValueError or OSError unless the `.npy` has the size, shape and dtype on record."""
    file = directory / f'{split}.npy'
    size = file.stat().st_size
    if size != facts['bytes']:
        raise ValueError(f'{file} has {size} bytes of {facts["bytes"]}')
    with open(file, 'rb') as opened:
        shape, columns_first, dtype = read_header(opened)
    if columns_first or [list(shape), str(dtype)] != [facts['shape'], facts['dtype']]:
        raise ValueError(f'{file} holds {dtype} {shape}; expected {facts}')


def is_unchanged(directory, split, facts):
    """Whether the rows in the `.npy` have the digest on record; raises ValueError or OSError."""
    with open(directory / f'{split}.npy', 'rb') as file:
        read_header(file)
        return hashlib.file_digest(file, 'sha256').hexdigest() == facts['sha256']


def source(directory, split, facts):
    """The split as a memory-mapped source."""
    del facts
    return ArraySource(np.load(directory / f'{split}.npy', mmap_mode='r', allow_pickle=False))


def _write(directory, split, blocks):
    path, content = directory / f'{split}.npy', Content(split)
    with open(path, 'wb') as file:
        dtype = None
        for block in content.watch(blocks):
            if dtype is None:
                dtype = block.dtype
                _write_header(file, dtype, (0, block.shape[1]))
            file.write(block.data)
        facts = content.facts()
        # numpy pads the header so that the true length fits where the first one was written.
        file.seek(0)
        _write_header(file, dtype, tuple(facts['shape']))
    return {'bytes': path.stat().st_size, **facts}


def _write_header(file, dtype, shape):
    header = {
        'descr': np.lib.format.dtype_to_descr(dtype),
        'fortran_order': False,
        'shape': shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
