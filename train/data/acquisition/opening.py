"""From a dataset's name to its files on this machine: its cache, made first if need be.

A dataset that is stored has `description`, `name`, `version`, `stored_splits` (those that the cache holds),
`prepare(config) -> Prepared` and `blocks(prepared, split)`, an iterator of rows (n, D).
"""

import functools

from absl import logging

from train.data.acquisition import prepared
from train.data.base import Data
from train.data.storage import cache, places
from train.data.storage.integrity import Comparison


def load(config, dataset, source):
    """The dataset as `Data`, from its cache, which is made first if need be; raises `UserError`.

    source: (cache, split, in_memory) -> the rows of a split.
    """
    found = cached(config, dataset)
    in_memory = config.source == 'memory'
    return Data(
        description=dataset.description,
        open_split=functools.cache(lambda split: source(found, split, in_memory)),
        fingerprint=f'{dataset.name}-{dataset.version}-{found.fingerprint}',
        location=found.directory,
        require_intact=Comparison(found.directory, found.splits, found.form).wait,
    )


def cached(config, dataset):
    """The `Cache` of a dataset, found or made; raises `UserError`."""
    form = cache.form_of(config)
    source, found = _look(config, dataset, form)
    if found is None:
        source = source or dataset.prepare(config)
        directory = places.cache_directories(config, source.root)[0]
        splits = {
            split: functools.partial(dataset.blocks, source, split)
            for split in dataset.stored_splits
        }
        found = cache.write(directory, source, splits, form)
    logging.info('%s: reading %s', dataset.name, found.directory)
    return found


def locate(config, dataset):
    """The directory a dataset is prepared or cached in, or None."""
    source, found = _look(config, dataset, cache.form_of(config))
    if found is not None:
        return found.directory
    return None if source is None else source.directory


def _look(config, dataset, form):
    """(the prepared TFDS dataset or None, the cache or None)."""
    source = prepared.find(places.data_roots(config), dataset.name, dataset.version)
    root, key = None, None
    if source is not None:
        root, key = source.root, source.key
        logging.info('%s: prepared in %s', dataset.name, source.directory)
    directories = places.cache_directories(config, root)
    return source, cache.find(directories, dataset.name, dataset.version, key, form)
