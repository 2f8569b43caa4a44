"""Every dataset by name."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from train.data.datasets import binarised_mnist, digits, images, mnist, toy
from train.data.datasets.maf.dataset import TABLES
from train.data.storage.sources import Subset
from train.errors import UserError


class Dataset(NamedTuple):
    describe: Callable  # config -> Description, touching no data
    load: Callable  # config -> Data
    locate: Callable | None = None  # config -> where it is prepared or None; None: needs no file


def _stored(dataset):
    return Dataset(dataset.describe, dataset.load, dataset.locate)


DATASETS = {
    'toy': Dataset(toy.describe, toy.load),
    'digits': Dataset(digits.describe, digits.load),
    'mnist': _stored(mnist.MNIST),
    'binarised_mnist': _stored(binarised_mnist),
    **{dataset.name: _stored(dataset) for dataset in images.IMAGES},
    **{table.name: _stored(table) for table in TABLES},
}


def describe(config):
    """The `Description` of `config.dataset`, without touching its data."""
    return _limited(_dataset(config.dataset).describe(config), config.max_rows)


def load(config):
    """The `Data` of `config.dataset`, prepared first if need be; raises `UserError`."""
    data = _dataset(config.dataset).load(config)
    if not config.max_rows:
        return data

    def open_split(split):
        source = data.source(split)
        return Subset(source, range(min(len(source), config.max_rows)))

    return dataclasses.replace(
        data,
        description=_limited(data.description, config.max_rows),
        open_split=open_split,
        fingerprint=f'{data.fingerprint}-first{config.max_rows}',
    )


def locate(config):
    """The directory that holds `config.dataset` on this machine, or None; '' if it needs none."""
    dataset = _dataset(config.dataset)
    return '' if dataset.locate is None else dataset.locate(config)


def _limited(description, max_rows):
    if max_rows < 0:
        raise UserError(f'config.max_rows must be at least 0; found {max_rows}.')
    if not max_rows:
        return description
    sizes = tuple(min(size, max_rows) for size in description.split_sizes)
    return dataclasses.replace(description, split_sizes=sizes)


def _dataset(name):
    if name not in DATASETS:
        raise UserError(
            f'unknown dataset {name!r}; config.dataset is one of: {", ".join(sorted(DATASETS))}.'
        )
    return DATASETS[name]
