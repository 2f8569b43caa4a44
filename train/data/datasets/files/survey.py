"""A first reading of a table: what its columns hold, and everything that must not be in them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from train.data.datasets.files.dependence import Dependence
from train.data.datasets.files.paths import refused
from train.data.datasets.files.reading import Reader
from train.data.datasets.files.selection import Bounds, Selection
from train.data.datasets.files.values import (
    Place,
    Values,
    as_categories,
    as_numbers,
    is_text,
)
from train.data.table import Column
from train.errors import UserError

MOST_CATEGORIES = 1000
FEW = 20  # different numbers in a column that may be categories
FINEST = 1e-3  # the largest step of float32, as a part of a column's range
Extreme = tuple[float, str]  # a value, and the row and column that it is of, in words


@dataclasses.dataclass
class Facts:
    """What is known of a column so far: None of a kind that no row has shown yet."""

    is_category: bool | None = None
    categories: set[str] = dataclasses.field(default_factory=set)
    distinct: set[float] = dataclasses.field(default_factory=set)  # numbers, complete up to FEW
    least: Extreme = (np.inf, '')
    greatest: Extreme = (-np.inf, '')

    def add(self, values: Values, place: Place) -> np.ndarray | None:
        """Take in a block of rows; returns its numbers, None of categories."""
        if self.is_category is None:
            self.is_category = is_text(values)
        if self.is_category:
            self._add_categories(values, place)
            return None
        numbers = as_numbers(values, place)
        if len(self.distinct) <= FEW:
            self.distinct.update(np.unique(numbers)[: FEW + 1].tolist())
        low, high = (
            (float(np.float32(numbers[row])), place.row(int(row)))
            for row in (numbers.argmin(), numbers.argmax())
        )
        self.least = min(self.least, low, key=_value)
        self.greatest = max(self.greatest, high, key=_value)
        return numbers

    def _add_categories(self, values: Values, place: Place) -> None:
        self.categories.update(as_categories(values, place).unique().to_pylist())
        if len(self.categories) > MOST_CATEGORIES:
            raise UserError(
                f'column {place.column!r} of {place.file} must hold numbers, or at most {MOST_CATEGORIES} categories; '
                'found more texts than that: leave it out by config.columns.'
            )


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a table holds: JSON, kept beside its rows."""

    columns: dict[str, dict[str, Any]]  # name -> categories, least and greatest
    counts: dict[str, int] = dataclasses.field(default_factory=dict)  # rows of each split

    def column(self, name: str, bounds: Bounds) -> Column:
        """A column with its bounds; UserError where a row is not between them."""
        low, high = bounds.get(name, (None, None))
        facts = self.columns[name]
        if facts['categories'] and name in bounds:
            raise UserError(
                f'config.bounds must be those of numbers; found {name!r}, which holds categories: take it out.'
            )
        for side, bound, sign in (('least', low, 1), ('greatest', high, -1)):
            if bound is None:
                continue
            value, where = facts[side]
            if not sign * value > sign * float(np.float32(bound)):
                raise UserError(
                    f'{where} must lie inside config.bounds, strictly between {_interval(low, high)}; found '
                    f'{value:g}: drop that row, or widen the bounds.'
                )
        return Column(name, tuple(facts['categories']), low, high)


def survey(
    parts: Mapping[str, Sequence[Reader]], selection: Selection, categorical: Sequence[str]
) -> Survey:
    """Read all rows of the columns of a selection once; UserError for the first thing that is wrong with them."""
    facts = {name: Facts(True if name in categorical else None) for name in selection.used}
    checked = Checked(selection, facts, Dependence())
    counts = {}
    for split, readers in parts.items():
        counts[split] = sum(checked.read(reader) for reader in readers)
        if not counts[split]:
            raise refused(readers[0].path, 'hold rows', 'none', 'add some, or name another file')
    checked.finish(next(iter(parts.values()))[0].path.name, sum(counts.values()))
    return Survey(
        {
            name: {
                'categories': _in_order(known.categories),
                'least': known.least,
                'greatest': known.greatest,
            }
            for name, known in facts.items()
        },
        counts,
    )


@dataclasses.dataclass
class Checked:
    """The columns of a selection while they are read."""

    selection: Selection
    facts: dict[str, Facts]
    dependence: Dependence

    def read(self, reader: Reader) -> int:
        """All rows of a table; how many there are."""
        missing = [name for name in self.selection.used if name not in reader.names]
        if missing:
            raise UserError(
                f'{reader.path} must have the columns of the first file; found no {missing[0]!r} in it: add that '
                'column, or leave it out of config.columns.'
            )
        file, count = reader.path.name, 0
        for block in reader.blocks(self.selection.used):
            size = len(block[0])
            if size:
                self._add(block, file, count + 1)
            count += size
        return count

    def _add(self, block: Sequence[Values], file: str, first_row: int) -> None:
        numbers = {
            name: self.facts[name].add(values, Place(file, name, first_row))
            for name, values in zip(self.selection.used, block, strict=True)
        }
        self.dependence.add(
            {
                name: x
                for name, x in numbers.items()
                if x is not None and name in self.selection.columns
            }
        )

    def finish(self, file: str, count: int) -> None:
        """What only the whole table shows, of so many rows."""
        for name, known in self.facts.items():
            if known.is_category:
                if len(known.categories) < 2:
                    raise _constant(file, name, next(iter(known.categories)))
            else:
                _check_range(file, name, known)
                # Of so few rows a column may well hold no more.
                if name in self.selection.columns and count > 2 * FEW:
                    _warn_of_few(file, name, len(known.distinct))
        together = self.dependence.found()
        if together:
            raise UserError(
                f'columns of {file} must not follow from others, or they have no density; found {", ".join(together)}, '
                'which are equal, or of which one is a sum of multiples of the rest: leave one out by config.columns.'
            )


def _value(extreme: Extreme) -> float:
    return extreme[0]


def _check_range(file: str, name: str, known: Facts) -> None:
    least, greatest = known.least[0], known.greatest[0]
    if least == greatest:
        raise _constant(file, name, f'{least:g}')
    step = float(np.spacing(np.float32(max(abs(least), abs(greatest)))))
    if step > FINEST * (greatest - least):
        raise UserError(
            f'column {name!r} of {file} must be told apart in float32; found {least:.9g} to {greatest:.9g}, where its '
            f'step is {step:g}: subtract a constant from the column.'
        )


def _warn_of_few(file: str, name: str, different: int) -> None:
    if different <= FEW:
        logging.warning(
            'Column %r of %s holds %d different numbers alone, and a density of it has no upper bound: name it in '
            'config.categorical if these are categories.',
            name,
            file,
            different,
        )


def _constant(file: str, name: str, value: str) -> UserError:
    return UserError(
        f'column {name!r} of {file} must vary; found {value} in every row: leave it out by config.columns.'
    )


def _in_order(categories: set[str]) -> list[str]:
    """Numbers by size, then texts by the alphabet."""

    def key(text: str) -> tuple[int, float, str]:
        try:
            return 0, float(text), text
        except ValueError:
            return 1, 0.0, text

    return sorted(categories, key=key)


def _interval(low: float | None, high: float | None) -> str:
    return f'{"-inf" if low is None else low} and {"inf" if high is None else high}'
