"""Linear independent component analysis with a known answer: independent sources, mixed by a known matrix.

    x = s A,   log p(x) = sum_i log p_i((x A^-1)_i) - log|det A|

Rows s (N, D) of unit variance, A (D, D) of condition number 10. A depends on the seed of the data and on D alone, and
every split has random numbers of its own.
"""

import functools
from typing import Any

import numpy as np

from train.data.base import SPLITS, Config, Data, Description
from train.data.storage.sources import ArraySource, Source
from train.step.randomness import seed_of

MIXING, SOURCES = 4, 5  # purposes of streams of random numbers, beside the seed and the split
CONDITION = 10.0
# config.ica_sources -> the densities that the sources have by turns, by their names in scipy.stats.
KINDS = {
    'laplace': ('laplace',),
    'super_gaussian': ('laplace', 'hypsecant', 't'),
    'gennorm': ('gennorm',),
    'uniform': ('uniform',),
    'mixed': ('laplace', 'uniform'),
}


class IcaDataset:
    """A `train.data.base.Dataset`: `config.ica_rows` training rows, and a tenth of that to validate and to test."""

    def describe(self, config: Config) -> Description:
        """The description of mixtures of `config.ica_columns` sources."""
        rest = max(config.ica_rows // 10, 1)
        return Description(
            name='ica',
            shape=(config.ica_columns,),
            levels=None,
            split_sizes=(config.ica_rows, rest, rest),
            licence='none needed',
            origin='generated from the seed',
        )

    def load(self, config: Config) -> Data:
        """The mixtures as `Data`."""
        description, seed = self.describe(config), seed_of(config, 'data')
        kind, D = config.ica_sources, config.ica_columns
        A = mixing_matrix(seed, D)
        sizes = dict(zip(SPLITS, description.split_sizes, strict=True))

        @functools.cache
        def open_split(split: str) -> Source:
            return ArraySource((sources(kind, seed, split, sizes[split], D) @ A).astype(np.float32))

        volume = np.linalg.slogdet(A)[1]
        return Data(
            description=description,
            open_split=open_split,
            fingerprint=f'ica-{kind}-{D}-{config.ica_rows}-seed{seed}',
            entropy=float(sum(p.entropy() for p in _densities(kind, D)) + volume),
        )

    def locate(self, config: Config) -> str:
        """'': it needs no file."""
        del config
        return ''


def mixing_matrix(seed: int, D: int) -> np.ndarray:
    """A (D, D), with singular values evenly spread on a log scale between random orthogonal matrices."""
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(MIXING,)))
    U, V = (np.linalg.qr(generator.standard_normal((D, D)))[0] for _ in range(2))
    return (U * np.geomspace(1, 1 / CONDITION, D)) @ V


def sources(kind: str, seed: int, split: str, n: int, D: int) -> np.ndarray:
    """s (n, D), the sources of a split of so many rows, of the densities `KINDS[kind]`."""
    stream = np.random.SeedSequence(seed, spawn_key=(SOURCES, SPLITS.index(split)))
    generator = np.random.default_rng(stream)
    columns = [p.rvs(size=n, random_state=generator) for p in _densities(kind, D)]
    return np.stack(columns, axis=1)


def _densities(kind: str, D: int) -> list[Any]:
    """The density of each source, of mean 0 and variance 1, as frozen ones of scipy.stats."""
    from scipy import stats  # a second of import that only this dataset needs

    known = {
        'laplace': stats.laplace(scale=0.5**0.5),
        'hypsecant': stats.hypsecant(scale=2 / np.pi),
        't': stats.t(5, scale=0.6**0.5),
        # The generalised Gaussian of shape 1/2, of excess kurtosis 22.2, as filters of natural images have.
        'gennorm': stats.gennorm(0.5, scale=120**-0.5),
        'uniform': stats.uniform(-(3**0.5), 2 * 3**0.5),
    }
    names = KINDS[kind]
    return [known[names[i % len(names)]] for i in range(D)]
