"""What a dataset is to the rest of the program: a description, and sources opened on demand."""

import math
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from train.errors import UserError

SPLITS = ('train', 'validation', 'test')


@dataclass(frozen=True)
class Description:
    """What is known of a dataset without touching its data."""

    name: str
    shape: tuple[int, ...]  # of one example, e.g. (28, 28, 1) or (2,)
    levels: int | None  # stored values are integers 0 .. levels - 1; None: real numbers
    split_sizes: tuple[int, int, int]  # train, validation, test
    licence: str
    origin: str
    mirrored: bool = False  # whether a mirrored image is another image of the same distribution

    @property
    def num_features(self):
        """D, the length of a flattened example."""
        return math.prod(self.shape)


def _intact():
    """What is not read from files has not changed."""


@dataclass(frozen=True)
class Data:
    """An opened dataset. Nothing is read before `source` is asked for a split.

    `log_density(x: (n, 2)) -> (n,)` in nats and `entropy` in nats exist for toy densities with a
    known density only; `extent` is the interval of both axes to plot 2-D data in. `fingerprint`
    identifies the content of the splits; `location` is the directory they are read from, None where
    they need no file. `require_intact()` returns once that directory is known to hold the content which the
    fingerprint names, and raises UserError where it does not; see `train.data.storage.integrity`.
    """

    description: Description
    open_split: Callable[[str], object]
    fingerprint: str
    location: pathlib.Path | None = None
    require_intact: Callable[[], None] = _intact
    log_density: Callable[[np.ndarray], np.ndarray] | None = None
    entropy: float | None = None
    extent: tuple[float, float] | None = None

    @property
    def name(self):
        return self.description.name

    @property
    def shape(self):
        return self.description.shape

    @property
    def levels(self):
        return self.description.levels

    @property
    def num_features(self):
        return self.description.num_features

    def split_size(self, split):
        """Number of examples of a split, without opening it."""
        return dict(zip(SPLITS, self.description.split_sizes, strict=True))[_known(split)]

    def source(self, split):
        """The split's source: `len()` and `gather(indices (n,)) -> (n, D)` in the stored dtype."""
        return self.open_split(_known(split))


def _known(split):
    if split not in SPLITS:
        raise UserError(f'a split is one of {", ".join(SPLITS)}; found {split!r}.')
    return split
