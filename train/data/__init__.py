"""Datasets, preprocessing and batches.

`load(config)` gives the `Data` that `config.dataset` names; `describe(config)` what is known of it
without reading it.
"""

from train.data.base import SPLITS, Data, Dataset, Description
from train.data.registry import DATASETS, describe, load, locate
from train.data.storage.sources import Source

__all__ = [
    'DATASETS',
    'SPLITS',
    'Data',
    'Dataset',
    'Description',
    'Source',
    'describe',
    'load',
    'locate',
]
