"""The header of a `.npy`, held against the file before memory is taken for what it claims."""

import math
import os
import tokenize
from typing import BinaryIO

import numpy as np

READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether columns come first, dtype) of an open file, which is left where the numbers begin.

    Raises ValueError where the header is damaged, where the array is one of Python objects, or where the file has not
    all that it claims.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in READERS:
            raise ValueError(f'version {version} of the format is not known')
        shape, columns_first, dtype = READERS[version](file)
    except tokenize.TokenError as error:  # numpy's reader lets it through
        raise ValueError(f'the header cannot be parsed: {error}') from error
    if dtype.hasobject:
        raise ValueError('it holds Python objects, which are not read')
    claimed = math.prod(shape) * dtype.itemsize
    left = os.fstat(file.fileno()).st_size - file.tell()
    if min(shape, default=0) < 0 or claimed > left:
        raise ValueError(f'an array {shape} of {dtype} is claimed where {left} bytes are left')
    return shape, columns_first, dtype
