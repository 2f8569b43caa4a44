"""Datasets made ready by name, and the table of all of them."""

from types import SimpleNamespace

from train.data import registry
from train.data.base import SPLITS
from train.errors import UserError

HEADER = ('dataset', 'D', *SPLITS, 'prepared here', 'licence', 'source')


def config_of(dataset, **fields):
    """The data fields of a config, for one dataset."""
    defaults = {'toy_name': 'sine', 'toy_size': 5000, 'seed': 0, 'seed_data': -1}
    defaults |= {'source': 'map', 'max_rows': 0}
    places = {'data_dir': '', 'manual_dir': '', 'cache_dir': ''}
    return SimpleNamespace(dataset=dataset, **defaults | places | fields)


def prepare(config):
    """Prepare `config.dataset` and open each split once; returns the lines to print."""
    opened = registry.load(config)
    sizes = ', '.join(f'{split} {len(opened.source(split)):,}' for split in SPLITS)
    opened.require_intact()
    place = 'needs no file' if opened.location is None else f'ready in {opened.location}'
    return [
        f'{opened.name}: {sizes} examples of {opened.num_features} numbers',
        f'{opened.name}: {place}',
    ]


def listing(**fields):
    """One line per dataset: D, split sizes, whether it is prepared here, licence, source."""
    rows = [HEADER]
    for name in registry.DATASETS:
        config = config_of(name, **fields)
        known = registry.describe(config)
        sizes = [f'{size:,}' for size in known.split_sizes]
        facts = (_place(config), known.licence, known.origin)
        rows.append((name, str(known.num_features), *sizes, *facts))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _place(config):
    """Where a dataset lies on this machine, in words. A damaged one is told apart, not raised."""
    try:
        place = registry.locate(config)
    except UserError as error:
        return f'damaged ({error})'
    if place is None:
        return 'no'
    return str(place) or 'needs no file'
