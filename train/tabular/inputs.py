"""New rows of what a run was trained on, as its model is given them."""

import math
import pathlib
from collections.abc import Iterator

import numpy as np

from train.data.base import Description
from train.data.datasets.files import images, paths, reading, rows
from train.data.datasets.files.reading import Reader
from train.data.storage.sources import ArraySource
from train.data.table import Table
from train.errors import UserError

FLAG = '--input'


def read(text: str, description: Description) -> ArraySource:
    """The rows of the files that a flag names: x, and the context behind it where the run has one."""
    files = paths.find(FLAG, text)
    table = description.table
    if table is None:
        parts = [_array(file, description) for file in files]
    elif table.columns:
        parts = [part for file in files for part in _of_table(file, table)]
    else:
        found = images.shape_of({'': files})
        if found != description.shape:
            raise UserError(
                f'{FLAG} must hold images of {description.shape} pixels and channels, as training did; found {found}: '
                'bring them to that size and mode.'
            )
        parts = list(images.rows(files))
    if not sum(map(len, parts)):
        raise UserError(f'{FLAG} must hold rows; found none in {text}: name another file.')
    return ArraySource(np.concatenate(parts))


def _of_table(file: pathlib.Path, table: Table) -> Iterator[np.ndarray]:
    found = reading.read(file)
    if set(found) != {''}:
        raise UserError(
            f'{FLAG} must be one table; found {", ".join(found)} in {file}: save one alone.'
        )
    _check_columns(found[''], table)
    yield from rows.rows(found[''], table.used)


def _check_columns(reader: Reader, table: Table) -> None:
    """Columns are matched by name: all that the run has, none that its file had not."""
    used = [column.name for column in table.used]
    missing = [name for name in used if name not in reader.names]
    unknown = [name for name in reader.names if name not in {*used, *table.others}]
    if missing or unknown:
        found = f'no {missing[0]!r}' if missing else f'{unknown[0]!r}'
        raise UserError(
            f'{reader.path} must have the columns that the run was trained on, {", ".join(used[:10])}; found {found}: '
            f'{"add" if missing else "drop or rename"} that column.'
        )


def _array(file: pathlib.Path, known: Description) -> np.ndarray:
    """Rows of a dataset that is no user's own, as it stores them."""
    if file.suffix != '.npy':
        raise UserError(
            f'{FLAG} must be a .npy for a run on {known.name}; found {file.name}: save one.'
        )
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise paths.unreadable(file, error) from error
    width = known.num_features + (1 if known.labelled else known.context)
    is_rows = array.ndim > 1 and len(array) and math.prod(array.shape[1:]) == width
    if array.dtype.kind not in 'biuf' or not is_rows:
        raise UserError(
            f'{file} must hold rows of {width} numbers, as {known.name} has them; found {array.dtype} of shape '
            f'{array.shape}: save such an array.'
        )
    rows = array.reshape(len(array), width)
    _check_numbers(file, rows[:, : known.num_features], known.levels, 'column {}', known)
    classes = known.context if known.labelled else None
    _check_numbers(file, rows[:, known.num_features :], classes, 'column {} of the context', known)
    return rows.astype(np.float32 if known.levels is None else np.uint8)


def _check_numbers(
    file: pathlib.Path, x: np.ndarray, levels: int | None, what: str, known: Description
) -> None:
    """UserError unless numbers are 0 .. levels - 1 or, where there are no levels, finite."""
    wrong = ~np.isfinite(x)
    if levels is not None:
        wrong |= (x < 0) | (x >= levels) | (x != np.floor(x))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        rule = 'finite' if levels is None else f'a whole number, 0 to {levels - 1}'
        raise UserError(
            f'row {row + 1}, {what.format(column)} of {file} must be {rule}, as {known.name} stores it; found '
            f'{x[row, column]}: correct it.'
        )
