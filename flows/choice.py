"""One of a few known values."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar, overload

T = TypeVar('T')


@overload
def choose(field: str, value: str, known: Mapping[str, T]) -> T: ...


@overload
def choose(field: str, value: T, known: Collection[T]) -> T: ...


def choose(field: str, value: Any, known: Any) -> Any:
    """The value, or what it names where `known` is a mapping; ValueError, listing what is known, for any other."""
    if value not in known:
        raise ValueError(f'Unknown {field} {value!r}: choose one of {", ".join(known)}.')
    return known[value] if isinstance(known, Mapping) else value
