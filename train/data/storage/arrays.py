"""Splits as `.npy` files, written block by block and memory-mapped."""

import hashlib
import pathlib
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from train.data.storage.npy import read_header
from train.data.storage.sources import ArraySource

Facts = dict[str, Any]  # what `info.json` says of a split: bytes, shape, dtype, sha256


def write(directory: pathlib.Path, split: str, blocks: Iterable[np.ndarray]) -> Facts:
    """Write the blocks of rows (n, D) of a split, with a progress bar on a terminal."""
    path, digest = directory / f'{split}.npy', hashlib.sha256()
    num_rows, row_shape = 0, (0,)
    dtype: Any = None
    with (
        open(path, 'wb') as file,
        tqdm(desc=split, unit='row', disable=not sys.stderr.isatty()) as bar,
    ):
        for block in map(np.ascontiguousarray, blocks):
            if dtype is None:
                dtype, row_shape = block.dtype, block.shape[1:]
                _write_header(file, dtype, (0, *row_shape))
            if (block.dtype, block.shape[1:]) != (dtype, row_shape):
                raise ValueError(
                    f'all blocks of {split} must be alike: {block.dtype} {block.shape} '
                    f'came after {dtype} {(num_rows, *row_shape)}.'
                )
            file.write(block.data)
            digest.update(block.data)
            num_rows += len(block)
            bar.update(len(block))
        # numpy pads the header so that the true length fits where the first one was written.
        file.seek(0)
        _write_header(file, dtype, (num_rows, *row_shape))
    return {
        'bytes': path.stat().st_size,
        'shape': [num_rows, *row_shape],
        'dtype': str(dtype),
        'sha256': digest.hexdigest(),
    }


def check(directory: pathlib.Path, split: str, facts: Facts) -> None:
    """Raise ValueError or OSError unless the `.npy` has the size, shape and dtype on record."""
    file = directory / f'{split}.npy'
    size = file.stat().st_size
    if size != facts['bytes']:
        raise ValueError(f'{file} has {size} bytes of {facts["bytes"]}')
    with open(file, 'rb') as opened:
        shape, columns_first, dtype = read_header(opened)
    if columns_first or [list(shape), str(dtype)] != [facts['shape'], facts['dtype']]:
        raise ValueError(f'{file} holds {dtype} {shape}; expected {facts}')


def is_unchanged(directory: pathlib.Path, split: str, facts: Facts) -> bool:
    """Whether the rows in the `.npy` have the digest on record; raises ValueError or OSError."""
    with open(directory / f'{split}.npy', 'rb') as file:
        read_header(file)
        return hashlib.file_digest(file, 'sha256').hexdigest() == facts['sha256']


def source(directory: pathlib.Path, split: str) -> ArraySource:
    """The split as a memory-mapped source."""
    return ArraySource(np.load(directory / f'{split}.npy', mmap_mode='r', allow_pickle=False))


def _write_header(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    header = {
        'descr': np.lib.format.dtype_to_descr(dtype),
        'fortran_order': False,
        'shape': shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
