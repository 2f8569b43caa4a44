"""Which rows of a table are for training, validation and test, where its files do not say so."""

import numpy as np

from train.data.base import SPLITS
from train.errors import UserError

PART = 10  # one row in so many is for validation, and as many for test


def sizes(count: int) -> tuple[int, int, int]:
    """Rows of the splits of a table; UserError where there are too few."""
    if count < PART:
        raise UserError(
            f'config.path must have at least {PART} rows to be split 80/10/10; found {count}: add rows, or give '
            'config.validation_path and config.test_path.'
        )
    return count - 2 * (count // PART), count // PART, count // PART


def indices(count: int, seed: int) -> dict[str, np.ndarray]:
    """The rows of each split, drawn by a seed, in an order of their own: the first rows of a split are any rows."""
    order = np.argsort(np.random.Philox(seed).random_raw(count), kind='stable')
    parts = np.split(order, np.cumsum(sizes(count))[:-1])
    return dict(zip(SPLITS, parts, strict=True))
