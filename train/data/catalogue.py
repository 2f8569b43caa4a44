"""The table of all datasets, and each made ready by name."""

from typing import Any

from train import config as defaults
from train.data import registry
from train.data.base import SPLITS, Config
from train.errors import UserError

HEADER: tuple[str, ...] = ('dataset', 'D', *SPLITS, 'prepared here', 'licence', 'source')


def config_of(dataset: str, **fields: Any) -> Config:
    """The defaults of a config, for one dataset."""
    config = defaults.get_config(dataset=dataset)
    config.update(fields)
    return config


def prepare(config: Config) -> list[str]:
    """Prepare `config.dataset` and open each split once; returns the lines to print."""
    opened = registry.load(config)
    sizes = ', '.join(f'{split} {len(opened.source(split)):,}' for split in SPLITS)
    opened.require_intact()
    place = 'needs no file' if opened.location is None else f'ready in {opened.location}'
    return [
        f'{opened.name}: {sizes} examples of {opened.num_features} numbers',
        f'{opened.name}: {place}',
    ]


def listing(**fields: Any) -> list[str]:
    """One line per dataset: D, split sizes, whether it is prepared here, licence, source."""
    rows = [HEADER]
    for name in registry.DATASETS:
        if name == registry.OWN:
            rows.append((name, *'----', 'where config.path says', 'your own', 'your own'))
            continue
        config = config_of(name, **fields)
        known = registry.describe(config)
        sizes = [f'{size:,}' for size in known.split_sizes]
        facts = (_place(config), known.licence, known.origin)
        rows.append((name, str(known.num_features), *sizes, *facts))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _place(config: Config) -> str:
    """Where a dataset lies on this machine, in words. A damaged one is told apart, not raised."""
    try:
        place = registry.locate(config)
    except UserError as error:
        return f'damaged ({error})'
    if place is None:
        return 'no'
    return str(place) or 'needs no file'
