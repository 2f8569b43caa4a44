"""MAF's tables as datasets, read from their caches; see `train.data.datasets.maf.tables`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from train.data.acquisition import tfds_library
from train.data.acquisition.archive import Archive
from train.data.base import SPLITS, Config
from train.data.datasets.maf import acquire, tables
from train.data.datasets.maf.tables import Table
from train.data.datasets.stored import StoredDataset
from train.data.storage.prepared_directory import Prepared


@dataclass(frozen=True)
class MafDataset(StoredDataset):
    """One of MAF's tables; made by `of`."""

    table: Table
    archive: Archive

    stored_splits = SPLITS

    @classmethod
    def of(cls, table: Table, archive: Archive = tables.ARCHIVE) -> 'MafDataset':
        """The dataset of a table that lies in an archive."""
        return cls(table.description, tables.VERSION, table, archive)

    def prepare(self, config: Config) -> Prepared:
        return acquire.prepare(config, self.table, self.archive)

    def blocks(self, prepared: Prepared, split: str) -> Iterator[np.ndarray]:
        return tfds_library.table_blocks(prepared, split)


TABLES = tuple(
    MafDataset.of(table)
    for table in (tables.POWER, tables.GAS, tables.HEPMASS, tables.MINIBOONE, tables.BSDS300)
)
