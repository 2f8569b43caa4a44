"""Datasets that lie in files: prepared by TFDS once, kept as a cache of arrays, then opened at once."""

import abc
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from absl import logging

from train.data.base import Config, Data, Description
from train.data.storage import cache, places, prepared_directory
from train.data.storage.cache import Cache
from train.data.storage.integrity import Comparison
from train.data.storage.prepared_directory import Prepared
from train.data.storage.sources import Source


@dataclass(frozen=True)
class StoredDataset(abc.ABC):
    """A `train.data.base.Dataset` that lies in files; `stored_splits` are those that TFDS and the cache hold."""

    description: Description
    version: str

    stored_splits: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def prepare(self, config: Config) -> Prepared:
        """Prepare the dataset as TFDS does from whatever is at hand; raises UserError."""

    @abc.abstractmethod
    def blocks(self, prepared: Prepared, split: str) -> Iterator[np.ndarray]:
        """The rows of a stored split of a prepared dataset, in blocks (n, D)."""

    def rows(self, cached: Cache, split: str, in_memory: bool) -> Source:
        """The rows of any split, from the cache."""
        return cached.source(split, in_memory)

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def cache_name(self) -> str:
        """What its cache is called: one name for each content."""
        return self.name

    def describe(self, config: Config) -> Description:
        """The description; no configuration field changes it."""
        del config
        return self.description

    def load(self, config: Config) -> Data:
        """The dataset from its cache, which is made first if need be; raises UserError."""
        cached = self.cached(config)
        in_memory = config.source == 'memory'
        return Data(
            description=self.description,
            open_split=functools.cache(lambda split: self.rows(cached, split, in_memory)),
            fingerprint=f'{self.name}-{self.version}-{cached.fingerprint}',
            location=cached.directory,
            require_intact=Comparison(cached).wait,
        )

    def locate(self, config: Config) -> os.PathLike | None:
        """The directory it is cached or prepared in, or None."""
        source, cached = self._look(config)
        if cached is not None:
            return cached.directory
        return None if source is None else source.directory

    def cached(self, config: Config) -> Cache:
        """The cache, found or made; raises UserError."""
        source, cached = self._look(config)
        if cached is None:
            source = source or self.prepare(config)
            directory = places.cache_directories(config, source.root)[0]
            splits = {
                split: functools.partial(self.blocks, source, split) for split in self.stored_splits
            }
            cached = cache.write(directory, source, splits, self.cache_name)
        logging.info('%s: reading %s', self.name, cached.directory)
        return cached

    def _look(self, config: Config) -> tuple[Prepared | None, Cache | None]:
        source = prepared_directory.find(places.data_roots(config), self.name, self.version)
        root, key = None, None
        if source is not None:
            root, key = source.root, source.key
            logging.info('%s: prepared in %s', self.name, source.directory)
        directories = places.cache_directories(config, root)
        return source, cache.find(directories, self.cache_name, self.version, key)
