"""The content of a split as it is written: its shape, dtype and digest, whatever the file format."""

import hashlib
import sys

import numpy as np
from tqdm import tqdm


class Content:
    """Counts and digests blocks of rows (n, D) on their way to a file."""

    def __init__(self, split):
        self._split = split
        self._digest = hashlib.sha256()
        self._shape = [0, 0]
        self._dtype = None

    def watch(self, blocks):
        """Yield the blocks as contiguous arrays, with a progress bar on a terminal."""
        with tqdm(desc=self._split, unit='row', disable=not sys.stderr.isatty()) as bar:
            for block in blocks:
                block = np.ascontiguousarray(block)
                self._add(block)
                bar.update(len(block))
                yield block

    def _add(self, block):
        if self._dtype not in (None, block.dtype) or self._shape[1] not in (0, block.shape[1]):
            raise ValueError(
                f'all blocks of {self._split} must be alike: {block.dtype} {block.shape} '
                f'came after {self._dtype} {self._shape}.'
            )
        self._dtype = block.dtype
        self._shape = [self._shape[0] + len(block), block.shape[1]]
        self._digest.update(block.data)

    def facts(self):
        """What `info.json` says of the split."""
        return {
            'shape': self._shape,
            'dtype': str(self._dtype),
            'sha256': self._digest.hexdigest(),
        }
