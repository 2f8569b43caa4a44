"""MAF's tables: POWER, GAS, HEPMASS, MINIBOONE, BSDS300.

They come from the archive that the authors of MAF published (Papamakarios 2018, Zenodo record
1161203), or from its unpacked folder.
"""

import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from train.data.acquisition.archive import Archive
from train.data.base import SPLITS, Description
from train.data.datasets.maf import files, processing
from train.errors import UserError

VERSION = '1.0.0'
ARCHIVE = Archive(
    url='https://zenodo.org/record/1161203/files/data.tar.gz',
    md5='9b9c9b0375315ad270eba4ce80c093ab',
)


@dataclass(frozen=True)
class Table:
    """One table: `files` inside MAF's folder, and `process(*paths) -> {split: (n, D) float32}`."""

    description: Description
    files: tuple[str, ...]
    process: Callable[..., processing.Splits]

    @property
    def name(self) -> str:
        return self.description.name

    def read(self, folder: os.PathLike | str) -> processing.Splits:
        """{split: (n, D) float32} from MAF's unpacked folder; raises `UserError`."""
        paths = [pathlib.Path(folder) / file for file in self.files]
        named = ', '.join(map(str, paths))
        with np.errstate(invalid='ignore', divide='ignore'):  # refused below, by name
            splits = self.process(*paths)
        if not all(np.isfinite(rows).all() for rows in splits.values()):
            raise UserError(
                f'{named} has a column that is constant and cannot be standardised: {files.REMEDY}.'
            )
        for split, size in zip(SPLITS, self.description.split_sizes, strict=True):
            expected = (size, self.description.num_features)
            if splits[split].shape != expected:
                raise UserError(
                    f'{named} gives {splits[split].shape[0]} rows of {splits[split].shape[1]} numbers in the '
                    f'{split} split of {self.description.name}, where {expected[0]} of '
                    f'{expected[1]} are expected: it is cut short or another file; '
                    f'{files.REMEDY}.'
                )
        return splits


def _power(path: os.PathLike) -> processing.Splits:
    return processing.power(files.npy(path, 8).astype(float))


def _gas(path: os.PathLike) -> processing.Splits:
    return processing.gas(*files.pickled_frame(path))


def _hepmass(train: os.PathLike, test: os.PathLike) -> processing.Splits:
    return processing.hepmass(files.csv(train), files.csv(test))


def _miniboone(path: os.PathLike) -> processing.Splits:
    return processing.miniboone(files.npy(path, 43).astype(float))


def _bsds300(path: os.PathLike) -> processing.Splits:
    return processing.bsds300(files.hdf5(path, SPLITS, 63))


def _table(
    name: str,
    num_features: int,
    split_sizes: tuple[int, ...],
    licence: str,
    files: tuple[str, ...],
    process: Callable[..., processing.Splits],
) -> Table:
    description = Description(
        name=name,
        shape=(num_features,),
        levels=None,
        split_sizes=split_sizes,
        licence=licence,
        origin="MAF's archive, Zenodo record 1161203",
    )
    return Table(description, files, process)


UCI = 'CC BY 4.0 (UCI Machine Learning Repository)'
POWER = _table('power', 6, (1_659_917, 184_435, 204_928), UCI, ('power/data.npy',), _power)
GAS = _table('gas', 8, (852_174, 94_685, 105_206), UCI, ('gas/ethylene_CO.pickle',), _gas)
HEPMASS = _table(
    'hepmass',
    21,
    (315_123, 35_013, 174_987),
    UCI,
    ('hepmass/1000_train.csv', 'hepmass/1000_test.csv'),
    _hepmass,
)
MINIBOONE = _table(
    'miniboone', 43, (29_556, 3_284, 3_648), UCI, ('miniboone/data.npy',), _miniboone
)
BSDS300 = _table(
    'bsds300',
    63,
    (1_000_000, 50_000, 250_000),
    'Berkeley, non-commercial research and education only',
    ('BSDS300/BSDS300.hdf5',),
    _bsds300,
)
