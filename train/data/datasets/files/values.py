"""What stands in the cells of a column: numbers or categories, and what is neither."""

import dataclasses
import math
from typing import Any, TypeAlias

import numpy as np

from train.errors import UserError

Values: TypeAlias = Any  # (n,) of a column: float64, or an Arrow array of texts

LARGEST = float(np.finfo(np.float32).max)
MISSING = frozenset({'', '-', '?', 'na', 'n/a', '#n/a', 'nan', 'none', 'null'})


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a block of a column begins: its file, name and first row, counted from 1 below the names."""

    file: str
    column: str
    first_row: int

    def refused(self, row: int, rule: str, found: str, remedy: str) -> UserError:
        """The cell in a row of the block, counted from 0, and what it must be."""
        return UserError(f'{self.row(row)} must {rule}; found {found}: {remedy}.')

    def row(self, row: int) -> str:
        """A cell in words."""
        return f'row {self.first_row + row} of column {self.column!r} in {self.file}'

    def missing(self, row: int, found: str) -> UserError:
        return self.refused(
            row, 'not be missing', repr(found), 'drop that row or column, or fill it in'
        )


def is_text(values: Values) -> bool:
    """Whether a block of a column holds texts, of which none is a number."""
    if isinstance(values, np.ndarray):
        return False
    texts = [text for text in values.unique().to_pylist() if not _is_missing(text)]
    # A decimal comma makes no text of a number: it is refused as one, rather than taken for a category.
    return bool(texts) and all(_number(text.replace(',', '.')) is None for text in texts)


def as_numbers(values: Values, place: Place) -> np.ndarray:
    """The numbers (n,), float64, which float32 can hold; UserError for a cell that is none."""
    numbers = values if isinstance(values, np.ndarray) else _parsed(values, place)
    outside = ~(np.abs(numbers) <= LARGEST)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        if math.isnan(numbers[row]):
            raise place.missing(row, 'nan')
        raise place.refused(
            row, 'be finite in float32', f'{numbers[row]:g}', 'drop that row, or scale the column'
        )
    return numbers


def as_categories(values: Values, place: Place) -> Any:
    """An Arrow array of texts (n,), in which a number is written in one way; UserError for an empty cell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, np.ndarray):
        values = pa.array([_name(number) for number in as_numbers(values, place).tolist()])
    else:
        values = pc.utf8_trim_whitespace(values)
        known = values.unique().to_pylist()
        if None in known or '' in known:
            texts = values.to_pylist()
            row = next(row for row, text in enumerate(texts) if not text)
            raise place.missing(row, texts[row])
        numbers = {text: _number(text) for text in known}
        names = {text: text if x is None else _name(x) for text, x in numbers.items()}
        if any(text != name for text, name in names.items()):
            values = pa.array([names[text] for text in values.to_pylist()])
    return values.cast(pa.string())


def _parsed(texts: Any, place: Place) -> np.ndarray:
    """Texts -> float64; Arrow's own reading where it can, else that of Python, cell by cell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    try:
        if not trimmed.null_count:
            return trimmed.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        pass  # some cell is written as Arrow has it not, or is no number
    cells = trimmed.to_pylist()
    numbers = np.empty(len(cells))
    for row, cell in enumerate(cells):
        if _is_missing(cell):
            raise place.missing(row, cell)
        number = _number(cell)
        if number is None:
            raise place.refused(
                row,
                'be a number, with a point for decimals, as others of that column are',
                repr(cell),
                'correct it, or name the column in config.categorical if it holds categories',
            )
        numbers[row] = number
    return numbers


def _is_missing(text: str | None) -> bool:
    return text is None or text.strip().lower() in MISSING


def _number(text: str) -> float | None:
    try:
        return None if '_' in text else float(text)
    except ValueError:
        return None


def _name(number: float) -> str:
    """How a number that is a category is written."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
