"""Splits as `.npy` files, written block by block and memory-mapped."""

import numpy as np

from train.data.content import Content
from train.data.sources import ArraySource

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
    array = np.load(file, mmap_mode='r', allow_pickle=False)
    if [list(array.shape), str(array.dtype)] != [facts['shape'], facts['dtype']]:
        raise ValueError(f'{file} holds {array.dtype} {array.shape}; expected {facts}')


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
