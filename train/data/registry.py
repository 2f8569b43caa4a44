"""Every dataset by name."""

from collections.abc import Callable
from typing import NamedTuple

from train.data import digits, mnist, toy
from train.errors import UserError


class Dataset(NamedTuple):
    describe: Callable  # config -> Description, touching no data
    load: Callable  # config -> Data


DATASETS = {
    'digits': Dataset(digits.describe, digits.load),
    'mnist': Dataset(mnist.describe, mnist.load),
    'toy': Dataset(toy.describe, toy.load),
}


def describe(config):
    """The `Description` of `config.dataset`, without touching its data."""
    return _dataset(config.dataset).describe(config)


def load(config):
    """The `Data` of `config.dataset`, prepared first if need be; raises `UserError`."""
    return _dataset(config.dataset).load(config)


def _dataset(name):
    if name not in DATASETS:
        raise UserError(
            f'unknown dataset {name!r}; config.dataset is one of: {", ".join(sorted(DATASETS))}.'
        )
    return DATASETS[name]
