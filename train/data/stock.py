"""Image datasets of TFDS: prepared wherever they can be found, read once, then memory-mapped."""

import functools
from dataclasses import dataclass

from absl import logging

from train.data import cache, discovery, places, prepared
from train.data.base import Data, Description
from train.data.sources import ArraySource, Subset
from train.data.wheel import Wheel
from train.errors import UserError


@dataclass(frozen=True)
class StockImages:
    """A TFDS image dataset with splits train and test; the last rows of train validate."""

    description: Description
    version: str
    feature: str = 'image'
    wheel: Wheel | None = None  # on the package index, with the original files

    def describe(self, config):
        """The description; no configuration field changes it."""
        del config
        return self.description

    def load(self, config):
        """The dataset as `Data`, from its cache, which is made first if need be."""
        found = self._cache(config)

        @functools.cache
        def open_split(split):
            return self._split(found, split)

        return Data(
            description=self.description,
            open_split=open_split,
            fingerprint=f'{self.description.name}-{self.version}-{found.fingerprint}',
            location=found.directory,
        )

    def _cache(self, config):
        name, version = self.description.name, self.version
        source = prepared.find(places.data_roots(config), name, version)
        root, key = None, None
        if source is not None:
            root, key = source.root, source.key
            logging.info('%s: prepared in %s', name, source.directory)
        found = cache.find(places.cache_directories(config, root), name, version, key)
        if found is None:
            source = source or discovery.prepare(config, name, version, self.wheel)
            directory = places.cache_directories(config, source.root)[0]
            found = cache.write(directory, source, self._fill(source))
        logging.info('%s: reading %s', name, found.directory)
        return found

    def _fill(self, source):
        def fill(split, path):
            from train.data import tfds_io  # TensorFlow, for the one reading

            tfds_io.read_images(source, split, self.feature, self.description.shape, path)

        return fill

    def _split(self, found, split):
        num_train, num_validation, num_test = self.description.split_sizes
        if split == 'test':
            return ArraySource(_checked(found, 'test', num_test))
        read = ArraySource(_checked(found, 'train', num_train + num_validation))
        first, last = (0, num_train) if split == 'train' else (num_train, len(read))
        return Subset(read, range(first, last))


def _checked(found, split, size):
    array = found.open(split)
    if len(array) != size:
        raise UserError(
            f'the {split} split in {found.directory} has {len(array)} rows where {size} are '
            'expected: it was made from another dataset of the same name; delete it and prepare '
            'the dataset again.'
        )
    return array
