"""TFDS builders of MAF's tables. Imported where one is prepared, since it imports TFDS.

`power`, `gas`, `hepmass`, `miniboone` and `bsds300` hold MAF's tables as MAF gives them to a model,
in blocks of rows, so that millions of rows are prepared and read in seconds. They read MAF's
unpacked folder from TFDS's manual directory:

    import train.data.datasets.maf.builders
    tfds.builder('power', data_dir=...).download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=...), file_format='array_record')

A block is the feature `rows`, float32 (rows of the block, D).
"""

import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from train.data.acquisition import tfds_library
from train.data.datasets.maf import tables
from train.data.datasets.maf.tables import Table

tfds: Any = tfds_library.datasets_library()

ROWS_PER_BLOCK = 8192


# To mypy the base is Any, since TFDS is imported late, and takes no keyword.
class _Table(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A table of MAF's collection; `table` says which."""

    VERSION = tfds.core.Version(tables.VERSION)
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'Unpack {tables.ARCHIVE.url} into the manual directory.'
    table: Table

    def __init__(self, table: Table | None = None, **kwargs: Any) -> None:
        self.table = table or self.table
        super().__init__(**kwargs)

    def _info(self) -> Any:
        description = self.table.description
        rows = tfds.features.Tensor(
            shape=(None, description.num_features), dtype=np.float32, encoding='bytes'
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=f'{description.name}, processed as MAF does; {description.origin}.',
            features=tfds.features.FeaturesDict({'rows': rows}),
            homepage='https://zenodo.org/record/1161203',
            license=description.licence,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        splits = self.table.read(dl_manager.manual_dir)
        return {split: self._generate_examples(rows) for split, rows in splits.items()}

    def _generate_examples(self, rows: np.ndarray) -> Iterator[tuple[int, dict]]:
        for block in range(math.ceil(len(rows) / ROWS_PER_BLOCK)):
            yield block, {'rows': rows[block * ROWS_PER_BLOCK : (block + 1) * ROWS_PER_BLOCK]}


class Power(_Table):
    """UCI household power consumption, 6 columns."""

    table = tables.POWER


class Gas(_Table):
    """UCI gas sensors exposed to ethylene and carbon monoxide, 8 columns."""

    table = tables.GAS


class Hepmass(_Table):
    """UCI HEPMASS, the positive class, 21 columns."""

    table = tables.HEPMASS


class Miniboone(_Table):
    """UCI MiniBooNE particle identification, 43 columns."""

    table = tables.MINIBOONE


class Bsds300(_Table):
    """Patches of the Berkeley segmentation dataset, 63 columns."""

    table = tables.BSDS300


def prepare_table(table: Table, root: pathlib.Path, folder: pathlib.Path) -> None:
    """Prepare one of MAF's tables under `root` from MAF's unpacked `folder`."""
    builder = BUILDERS[table.description.name](table=table, data_dir=os.fspath(root))
    builder.download_and_prepare(
        download_dir=os.fspath(root / 'downloads'),
        download_config=tfds.download.DownloadConfig(manual_dir=folder),
        file_format='array_record',
    )


BUILDERS = {builder.name: builder for builder in (Power, Gas, Hepmass, Miniboone, Bsds300)}
