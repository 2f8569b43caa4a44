"""The tables that scikit-learn carries, to try things out: `config.path=sklearn:wine`."""

import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from train.data.datasets.files.values import Values
from train.errors import UserError

PREFIX = 'sklearn:'
TABLES = ('breast_cancer', 'diabetes', 'iris', 'wine')


def is_bundled(path: os.PathLike | str) -> bool:
    """Whether a path names one of them."""
    return os.fspath(path).startswith(PREFIX)


class Bundled:
    """The features of a table and, as the last column, its `target`."""

    def __init__(self, path: pathlib.Path) -> None:
        from sklearn import datasets  # a second of import that only this needs

        name = str(path).removeprefix(PREFIX)
        if name not in TABLES:
            raise UserError(
                f'a table of scikit-learn must be one of {", ".join(TABLES)}; found {name!r}: name one of these.'
            )
        bunch = getattr(datasets, f'load_{name}')()
        self.path = path
        self.names = (*map(str, bunch.feature_names), 'target')
        self._rows = np.column_stack([bunch.data, bunch.target]).astype(float)

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Values]]:
        """All rows: of each column the numbers."""
        yield [self._rows[:, self.names.index(name)] for name in columns]
