"""Datasets, preprocessing and batches.

`load(config)` gives the `Data` that `config.dataset` names; `describe(config)` what is known of it
without reading it.
"""

from train.data.base import SPLITS, Data, Description
from train.data.registry import DATASETS, describe, load, locate

__all__ = ['DATASETS', 'SPLITS', 'Data', 'Description', 'describe', 'load', 'locate']
