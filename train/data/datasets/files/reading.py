"""Tables by the ending of their file."""

import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from train.data.datasets.files import arrays
from train.data.datasets.files.arrow import Parquet
from train.data.datasets.files.bundled import Bundled, is_bundled
from train.data.datasets.files.delimited import Delimited
from train.data.datasets.files.paths import refused
from train.data.datasets.files.values import Values


class Reader(Protocol):
    """A table: its columns' names, and their values from the first row to the last."""

    @property
    def path(self) -> pathlib.Path: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def blocks(self, columns: Sequence[str]) -> Iterator[list[Values]]:
        """Blocks of rows: for each of the columns its values, float64 (n,) or an Arrow array of texts."""
        ...


def _delimited(path: pathlib.Path) -> dict[str, Delimited]:
    return {'': Delimited(path)}


def _parquet(path: pathlib.Path) -> dict[str, Parquet]:
    return {'': Parquet(path)}


READERS: dict[str, Callable[[pathlib.Path], Mapping[str, Reader]]] = {
    '.csv': _delimited,
    '.tsv': _delimited,
    '.txt': _delimited,
    '.parquet': _parquet,
    '.npy': arrays.npy,
    '.npz': arrays.npz,
    '.h5': arrays.hdf5,
    '.hdf5': arrays.hdf5,
}


def read(path: pathlib.Path) -> Mapping[str, Reader]:
    """{'': table}, or {split: table} of a file that has one for each; UserError for what is none."""
    if is_bundled(path):
        return {'': Bundled(path)}
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        found = f'the ending {path.suffix!r}'
        raise refused(
            path, f'end in one of {", ".join(READERS)}', found, 'convert it to one of these'
        )
    tables = reader(path)
    for table in tables.values():
        _check_names(table)
    return tables


def _check_names(table: Reader) -> None:
    seen: set[str] = set()
    for place, name in enumerate(table.names):
        if not name:
            found = f'none for column {place + 1}'
            raise refused(table.path, 'name every column', found, 'give it a name')
        if name in seen:
            found = f'{name!r} twice'
            raise refused(table.path, 'have another name for each column', found, 'rename one')
        seen.add(name)
