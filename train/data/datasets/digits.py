"""The 8 x 8 handwritten digits that scikit-learn carries: real data, no download.

1,797 images of the UCI "Optical Recognition of Handwritten Digits" test set (Alpaydin and Kaynak,
1998), 17 grey levels. They come without a split, so one is drawn here once and for all: it depends
on no run's seed, so that results of different runs stand for the same test images.
"""

import dataclasses
import functools
import hashlib
from importlib.metadata import distribution

import numpy as np

from train.data.base import SPLITS, Config, Data, Description
from train.data.storage.sources import ArraySource

SPLIT_SEED = 8
DESCRIPTION = Description(
    name='digits',
    shape=(8, 8, 1),
    levels=17,
    split_sizes=(1437, 180, 180),
    licence='CC BY 4.0 (UCI Machine Learning Repository)',
    origin='bundled with scikit-learn',
)


@dataclasses.dataclass(frozen=True)
class Digits:
    """A `train.data.base.Dataset` that comes with scikit-learn; `labelled`: the digit stands behind its pixels."""

    labelled: bool = False

    def describe(self, config: Config) -> Description:
        """The description of the digits; no configuration field changes it."""
        del config
        if self.labelled:
            return dataclasses.replace(DESCRIPTION, context=10, labelled=True)
        return DESCRIPTION

    def locate(self, config: Config) -> str:
        """'': it needs no file."""
        del config
        return ''

    def load(self, config: Config) -> Data:
        """The digits as `Data`."""
        splits = _splits(self.labelled)
        return Data(
            description=self.describe(config),
            open_split=lambda split: ArraySource(splits[split]),
            fingerprint=f'digits-{_digest(splits)}',
        )


@functools.cache
def _splits(labelled: bool) -> dict[str, np.ndarray]:
    rows = np.loadtxt(_file(), delimiter=',', dtype=np.uint8)
    rows = rows if labelled else rows[:, :-1]
    order = np.argsort(np.random.Philox(SPLIT_SEED).random_raw(len(rows)), kind='stable')
    edges = np.cumsum(DESCRIPTION.split_sizes)[:-1]
    return dict(zip(SPLITS, np.split(rows[order], edges), strict=True))


def _file() -> str:
    """The table that `sklearn.datasets.load_digits` reads: to import scikit-learn takes longer than the first step."""
    return str(distribution('scikit-learn').locate_file('sklearn/datasets/data/digits.csv.gz'))


def _digest(splits: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(splits[split].tobytes())
    return digest.hexdigest()[:16]
