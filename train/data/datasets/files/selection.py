"""Which columns of a file a config asks for, and between what bounds they lie."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from train.errors import UserError

Bounds = Mapping[str, tuple[float | None, float | None]]


class Selection(NamedTuple):
    """Names of columns: of those that are modelled, that the model is given, and that are left out."""

    columns: tuple[str, ...]
    context: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def used(self) -> tuple[str, ...]:
        return self.columns + self.context


def select(names: Sequence[str], columns: str, context: str) -> Selection:
    """The columns that `config.columns` and `config.context` name; all but the context's where the former is empty."""
    given = listed('context', context, names)
    modelled = listed('columns', columns, names) or tuple(
        name for name in names if name not in given
    )
    both = [name for name in given if name in modelled]
    if both:
        raise UserError(
            f'config.context must name columns that are not modelled; found {both[0]!r} in config.columns too: take it '
            'out of one of the two.'
        )
    if not modelled:
        raise UserError(
            'config.context must leave a column to model; found all of them in it: take one out.'
        )
    others = tuple(name for name in names if name not in {*modelled, *given})
    return Selection(modelled, given, others)


def listed(field: str, text: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns named in a field, with commas between them."""
    found = tuple(part.strip() for part in text.split(',')) if text else ()
    for place, name in enumerate(found):
        if name not in names:
            raise UserError(
                f'config.{field} must name columns of the file, {_some(names)}; found {name!r}: correct the name.'
            )
        if name in found[:place]:
            raise UserError(
                f'config.{field} must name a column once; found {name!r} twice: take one out.'
            )
    return found


def bounds_of(text: str, names: Sequence[str]) -> Bounds:
    """column -> (low, high) from `a:0..1,b:0..,c:..5`, None where there is no bound on that side."""
    parts = [part.rpartition(':') for part in text.split(',')] if text else []
    bounds = {name.strip(): _interval(interval) for name, _, interval in parts}
    listed('bounds', ','.join(name for name, _, _ in parts), names)
    return bounds


def _interval(text: str) -> tuple[float | None, float | None]:
    low, dots, high = text.partition('..')
    try:
        least = float(low) if low.strip() else None
        most = float(high) if high.strip() else None
    except ValueError:
        least = most = None
    empty = least is not None and most is not None and not least < most
    if not dots or least is most is None or empty:
        raise UserError(
            f'config.bounds must be intervals behind names of columns, as in a:0..1,b:0..,c:..5; found {text!r}: '
            'correct it.'
        )
    return least, most


def _some(names: Sequence[str]) -> str:
    shown = ', '.join(map(repr, names[:10]))
    return shown if len(names) <= 10 else f'{shown} and {len(names) - 10} more'
