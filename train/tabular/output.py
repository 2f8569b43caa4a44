"""A table written whole or not at all, in the format that its name ends in."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from train.errors import UserError
from train.runtime import workdir

FORMATS = ('csv', 'npy', 'parquet')
Columns = Mapping[str, np.ndarray | Sequence[str]]  # name -> (n,) numbers, or texts


def check(path: epath.Path) -> None:
    """Refuse a file whose ending is no format of a table."""
    if path.suffix.removeprefix('.') not in FORMATS:
        raise UserError(
            f'a table is written as {", ".join(FORMATS)}, by the ending of its file; found {path.name!r}: rename it.'
        )


def write(path: epath.Path, columns: Columns) -> None:
    """Write the columns; in .npy, which has no names, texts are a structured array's."""
    check(path)
    content = _WRITERS[path.suffix](columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    workdir.write_bytes(path, content)


def _csv(columns: Columns) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(columns)
    writer.writerows(zip(*(_listed(values) for values in columns.values()), strict=True))
    return text.getvalue().encode()


def _listed(values: Any) -> list:
    return list(values) if isinstance(values, list) else [f'{x:.9g}' for x in values.tolist()]


def _npy(columns: Columns) -> bytes:
    """(n, D) where all columns are numbers, else (n,) with a named field for each column."""
    file = io.BytesIO()
    if any(isinstance(values, list) for values in columns.values()):
        fields = {name: np.asarray(values) for name, values in columns.items()}
        kinds = np.dtype([(name, values.dtype) for name, values in fields.items()])
        array = np.empty(len(next(iter(fields.values()))), kinds)
        for name, values in fields.items():
            array[name] = values
    else:
        array = np.column_stack([np.asarray(values) for values in columns.values()])
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _parquet(columns: Columns) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pa.table(dict(columns)), file)
    return file.getvalue()


_WRITERS = {'.csv': _csv, '.npy': _npy, '.parquet': _parquet}
