"""TFDS builders of our own. Imported where a dataset is prepared, since it imports TFDS.

`power`, `gas`, `hepmass`, `miniboone` and `bsds300` hold MAF's tables as MAF gives them to a model,
in blocks of rows, so that millions of rows are prepared and read in seconds. They read MAF's
unpacked folder from TFDS's manual directory:

    import train.data.acquisition.builders
    tfds.builder('power', data_dir=...).download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=...), file_format='array_record')

A block is the feature `rows`, float32 (rows of the block, D).
"""

import math
import os

import numpy as np

from train.data.acquisition import tfds_io
from train.data.datasets.maf import dataset

tfds = tfds_io.datasets_library()

ROWS_PER_BLOCK = 8192


class _Rows(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """One row a record, the feature `row`, from iterators of blocks (n, D)."""

    VERSION = tfds.core.Version('1.0.0')
    name = 'rows'

    def __init__(self, splits, **kwargs):
        self._splits = {split: iter(blocks) for split, blocks in splits.items()}
        self._first = {split: next(blocks) for split, blocks in self._splits.items()}
        super().__init__(**kwargs)

    def _info(self):
        row = next(iter(self._first.values()))[0]
        feature = tfds.features.Tensor(shape=row.shape, dtype=row.dtype, encoding='bytes')
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({'row': feature}),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {split: self._generate_examples(split) for split in self._splits}

    def _generate_examples(self, split):
        index, block = 0, self._first[split]
        while block is not None:
            for row in block:
                yield index, {'row': row}
                index += 1
            block = next(self._splits[split], None)


def write_rows(directory, splits):
    """Write {split: iterator of blocks (n, D)} as ArrayRecord files under `directory`."""
    builder = _Rows(splits, data_dir=os.fspath(directory))
    builder.download_and_prepare(file_format='array_record')


class _Table(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A table of MAF's collection; `table` says which."""

    VERSION = tfds.core.Version(dataset.VERSION)
    MANUAL_DOWNLOAD_INSTRUCTIONS = f'Unpack {dataset.ARCHIVE.url} into the manual directory.'
    table = None

    def __init__(self, table=None, **kwargs):
        self.table = table or self.table
        super().__init__(**kwargs)

    def _info(self):
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

    def _split_generators(self, dl_manager):
        splits = self.table.read(dl_manager.manual_dir)
        return {split: self._generate_examples(rows) for split, rows in splits.items()}

    def _generate_examples(self, rows):
        for block in range(math.ceil(len(rows) / ROWS_PER_BLOCK)):
            yield block, {'rows': rows[block * ROWS_PER_BLOCK : (block + 1) * ROWS_PER_BLOCK]}


class Power(_Table):
    """UCI household power consumption, 6 columns."""

    table = dataset.POWER


class Gas(_Table):
    """UCI gas sensors exposed to ethylene and carbon monoxide, 8 columns."""

    table = dataset.GAS


class Hepmass(_Table):
    """UCI HEPMASS, the positive class, 21 columns."""

    table = dataset.HEPMASS


class Miniboone(_Table):
    """UCI MiniBooNE particle identification, 43 columns."""

    table = dataset.MINIBOONE


class Bsds300(_Table):
    """Patches of the Berkeley segmentation dataset, 63 columns."""

    table = dataset.BSDS300


def prepare_table(table, root, folder):
    """Prepare one of MAF's tables under `root` from MAF's unpacked `folder`."""
    builder = BUILDERS[table.description.name](table=table, data_dir=os.fspath(root))
    builder.download_and_prepare(
        download_dir=os.fspath(root / 'downloads'),
        download_config=tfds.download.DownloadConfig(manual_dir=folder),
        file_format='array_record',
    )


BUILDERS = {builder.name: builder for builder in (Power, Gas, Hepmass, Miniboone, Bsds300)}
