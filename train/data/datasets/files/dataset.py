"""A user's own files as a dataset: tables, or folders of images."""

import dataclasses
import functools
import os
import pathlib

from train.data.base import SPLITS, Config, Data, Description
from train.data.datasets.files import conversion
from train.data.datasets.files.bundled import is_bundled
from train.data.datasets.files.conversion import WHOLE, Converted
from train.data.splitting import split_rows, split_sizes
from train.data.storage.integrity import Comparison
from train.data.storage.sources import Source, Subset
from train.data.table import Table


class FileDataset:
    """A `train.data.base.Dataset`: what `config.path` names."""

    def describe(self, config: Config) -> Description:
        """What the files hold; they are read for it, once."""
        return _described(config, conversion.converted(config))

    def load(self, config: Config) -> Data:
        """The files as `Data`; raises UserError."""
        found = conversion.converted(config)
        read = functools.cache(lambda part: found.cache.source(part, config.source == 'memory'))

        @functools.cache
        def open_split(split: str) -> Source:
            if WHOLE not in found.cache.splits:
                return read(split)
            whole = read(WHOLE)
            return Subset(whole, split_rows(len(whole), config.split_seed)[split])

        return Data(
            description=_described(config, found),
            open_split=open_split,
            fingerprint=f'file-{found.digest}-split{config.split_seed}',
            location=found.cache.directory,
            require_intact=Comparison(found.cache).wait,
        )

    def locate(self, config: Config) -> os.PathLike | str | None:
        """The file; '' for a table of scikit-learn, None where no path is given."""
        return '' if is_bundled(config.path) else config.path or None


def _described(config: Config, found: Converted) -> Description:
    counts = {split: facts['shape'][0] for split, facts in found.cache.splits.items()}
    whole = counts.get(WHOLE)
    known = Description(
        name=pathlib.Path(config.path).name,
        shape=(0,),
        levels=None,
        split_sizes=split_sizes(whole) if whole else tuple(counts[split] for split in SPLITS),
        licence='your own',
        origin=config.path,
    )
    if 'shape' in found.notes:
        table = Table((), digest=found.digest)
        return dataclasses.replace(
            known, shape=tuple(found.notes['shape']), levels=256, table=table
        )
    table = conversion.table_of(config, found.notes, found.digest)
    shape = (len(table.columns),)
    return dataclasses.replace(known, shape=shape, context=table.context_width, table=table)
