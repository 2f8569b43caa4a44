"""Toy densities as a dataset: `config.toy_size` points in every split, drawn from the seed of the data."""

import functools

import numpy as np

from train.data.base import SPLITS, Config, Data, Description
from train.data.datasets.toy_densities import TOYS
from train.data.storage.sources import ArraySource, Source
from train.errors import UserError
from train.step.randomness import seed_of

POINTS = 2  # purpose of the stream of random numbers, beside the seed and the split


class ToyDataset:
    """A `train.data.base.Dataset`: the density `config.toy_name`."""

    def describe(self, config: Config) -> Description:
        """The description of the toy dataset of `config.toy_size` points a split."""
        if config.toy_size < 1:
            raise UserError(f'config.toy_size must be positive; found {config.toy_size}.')
        if config.toy_name not in TOYS:
            raise UserError(
                f'unknown toy density {config.toy_name!r}; config.toy_name is one of: '
                f'{", ".join(TOYS)}.'
            )
        return Description(
            name='toy',
            shape=(2,),
            levels=None,
            split_sizes=(config.toy_size,) * len(SPLITS),
            licence='none needed',
            origin='generated from the seed',
        )

    def load(self, config: Config) -> Data:
        """The density `config.toy_name` as `Data`; each split has its own random numbers."""
        description = self.describe(config)
        name, size = config.toy_name, config.toy_size
        seed = seed_of(config, 'data')
        toy = TOYS[name]

        @functools.cache
        def open_split(split: str) -> Source:
            stream = np.random.SeedSequence(seed, spawn_key=(POINTS, SPLITS.index(split)))
            points = toy.sample(np.random.default_rng(stream), size)
            return ArraySource(points.astype(np.float32))

        return Data(
            description=description,
            open_split=open_split,
            fingerprint=f'toy-{name}-{toy.edition}-{size}-seed{seed}',
            log_density=toy.log_density,
            entropy=toy.entropy,
        )

    def locate(self, config: Config) -> str:
        """'': it needs no file."""
        del config
        return ''
