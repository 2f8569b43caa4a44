"""The columns of a table, as a run keeps them beside its parameters: names, categories, bounds."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of numbers, or of categories.

    categories: the texts that it holds, which rows have as 0, 1, ...; () for numbers. low, high: what the numbers lie
    strictly between, where that is known.
    """

    name: str
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def width(self) -> int:
        """Numbers that a model is given of it as a context."""
        return len(self.categories) or 1

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**{**stored, 'categories': tuple(stored['categories'])})


@dataclasses.dataclass(frozen=True)
class Table:
    """The columns of a row: those that are modelled, and behind them those that the model is given.

    others: the columns of the file that a run has no use for. digest: of the rows of all splits.
    """

    columns: tuple[Column, ...]
    context: tuple[Column, ...] = ()
    others: tuple[str, ...] = ()
    digest: str = ''

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns of a row, in order."""
        return self.columns + self.context

    @property
    def context_width(self) -> int:
        """C: numbers as they are, categories one-hot."""
        return sum(column.width for column in self.context)

    @property
    def is_bounded(self) -> bool:
        """Whether any of the modelled columns lies between bounds; categories do, once they have noise on them."""
        return any(
            column.categories or column.low is not None or column.high is not None
            for column in self.columns
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`, by way of JSON."""
        columns, context = (
            tuple(map(Column.from_json, stored[name])) for name in ('columns', 'context')
        )
        return cls(columns, context, tuple(stored['others']), stored['digest'])
