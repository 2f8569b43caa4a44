"""Sources: a length, and rows by index. A memory-mapped array is an array like any other."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from train.errors import UserError

# What reading ArrayRecord files raises where they are damaged.
RECORD_ERRORS = (ValueError, RuntimeError, IndexError, AttributeError, OSError)


@runtime_checkable
class Source(Protocol):
    """The rows of a split."""

    def __len__(self) -> int: ...

    def gather(self, indices: ArrayLike) -> np.ndarray:
        """Rows `indices` (n,) as a new array (n, D) in the stored dtype."""
        ...


class Items(Protocol):
    """Examples one by one: a data source of TFDS, a dataset of Hugging Face, a source of Grain, a list of arrays."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


def as_source(rows: Source | Items, feature: str | None = None) -> Source:
    """`rows` if they are a source, else their items as one, see `ItemSource`."""
    return rows if isinstance(rows, Source) else ItemSource(rows, feature)


class ArraySource:
    """Rows of a 2-D array, in memory or memory-mapped."""

    def __init__(self, array: np.ndarray) -> None:
        if array.ndim != 2:
            raise ValueError(f'a source holds rows (n, D); found an array of shape {array.shape}.')
        # The plain view keeps numpy from wrapping every gathered block in a memmap.
        self._array = array.view(np.ndarray)

    def __len__(self) -> int:
        return len(self._array)

    def gather(self, indices: ArrayLike) -> np.ndarray:
        """Rows `indices` (n,) as a new array (n, D) in the stored dtype."""
        return self._array[np.asarray(indices)]


class ItemSource:
    """Examples one by one as rows: each is flattened, read when it is asked for, and not kept.

    `feature` names the entry that is the example where an item is a mapping; it may be left out where there is one
    entry. `gather` raises UserError where an item cannot be read.
    """

    def __init__(self, items: Items, feature: str | None = None) -> None:
        self._items = items
        self._feature = feature

    def __len__(self) -> int:
        return len(self._items)

    def gather(self, indices: ArrayLike) -> np.ndarray:
        """Rows `indices` (n,), n > 0, as a new array (n, D) in the dtype of the items."""
        places = _within(indices, len(self)).tolist()
        try:
            together = getattr(self._items, '__getitems__', None)  # TFDS reads many at once
            items = together(places) if together else [self._items[place] for place in places]
        except RECORD_ERRORS as error:
            reason = ' '.join(str(error).split())
            raise UserError(
                f'{len(places)} rows cannot be read from a {type(self._items).__name__} ({type(error).__name__}: '
                f'{reason}): the files behind it are damaged, make them again.'
            ) from error
        return np.stack([self._row(item) for item in items])

    def _row(self, item: Any) -> np.ndarray:
        if isinstance(item, Mapping):
            names = [self._feature] if self._feature else list(item)
            if len(names) > 1 or names[0] not in item:
                raise UserError(
                    f'a source must name the feature that is the example, one of {", ".join(item)}; '
                    f'found {self._feature!r}.'
                )
            item = item[names[0]]
        return np.asarray(item).reshape(-1)


class Subset:
    """The rows of another source named by a `range` or an integer array, without a copy."""

    def __init__(self, source: Source, rows: range | np.ndarray) -> None:
        self._source = source
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def gather(self, indices: ArrayLike) -> np.ndarray:
        """Rows `indices` (n,) of the subset as a new array (n, D) in the stored dtype."""
        places = _within(indices, len(self))
        if isinstance(self._rows, range):
            return self._source.gather(self._rows.start + self._rows.step * places)
        return self._source.gather(self._rows[places])


def _within(indices: ArrayLike, size: int) -> np.ndarray:
    """Indices counted from the end or not -> 0 .. size - 1; raises IndexError beyond that."""
    places = np.asarray(indices)
    if places.size and (places.min() < -size or places.max() >= size):
        raise IndexError(f'rows of a source of {size} were asked for beyond its end.')
    return np.where(places < 0, places + size, places)


def blocks(source: Source, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows (n,), block (n, D)) over the whole source in order, `size` rows at a time."""
    for start in range(0, len(source), size):
        rows = np.arange(start, min(start + size, len(source)))
        yield rows, source.gather(rows)
