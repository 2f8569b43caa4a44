"""Rows that come without a split: a tenth of them is the validation split, another tenth the test split."""

import numpy as np

from train.data.base import SPLITS
from train.errors import UserError

SPLIT = 3  # purpose of the stream of random numbers, beside the seed
LEAST = 10  # rows, so that each split has one


def split_sizes(rows: int) -> tuple[int, int, int]:
    """How many of so many rows train, validate and test; UserError below ten rows."""
    if rows < LEAST:
        raise UserError(
            f'data without files for each split must have at least {LEAST} rows to be divided 80/10/10; found {rows}: '
            'add rows, or give the splits.'
        )
    tenth = rows // 10
    return rows - 2 * tenth, tenth, tenth


def split_rows(rows: int, seed: int) -> dict[str, np.ndarray]:
    """split -> the rows (n,) of it, drawn from the seed: the same on every machine."""
    edges = np.cumsum(split_sizes(rows))[:-1]
    stream = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(SPLIT,)))
    order = np.argsort(stream.random_raw(rows), kind='stable')
    return dict(zip(SPLITS, np.split(order, edges), strict=True))
