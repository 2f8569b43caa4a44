"""The context of a user's own table: numbers, standardised, and categories, one-hot, by the names of their columns."""

from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from train.data.base import Description
from train.data.storage.sources import Source, blocks
from train.data.table import Column
from train.errors import UserError

ROWS_PER_BLOCK = 10_000
KEPT = 1000  # contexts that are kept to draw from


@flax.struct.dataclass
class ColumnsContext:
    """A `train.data.preprocessing.contexts.Context` of k columns, of which c (B, C) is made column by column."""

    rows: jax.Array  # [n, k], the columns of training rows
    mean: jax.Array  # [k], over the training rows; of categories 0
    std: jax.Array  # [k], of categories 1
    columns: tuple[Column, ...] = flax.struct.field(pytree_node=False)
    start: int = flax.struct.field(pytree_node=False)

    @classmethod
    def fit(cls, description: Description, source: Source) -> Self:
        """From the training rows."""
        D, columns = description.num_features, _columns(description)
        places = np.linspace(0, len(source) - 1, min(KEPT, len(source))).astype(int)
        kept = source.gather(places)[:, D:]
        shift = kept[:1].astype(float)  # so that squares do not cancel
        sums = np.zeros((2, len(columns)))
        for _, rows in blocks(source, ROWS_PER_BLOCK):
            x = rows[:, D:] - shift
            sums += np.stack([x.sum(axis=0), (x**2).sum(axis=0)])
        mean, square = sums / len(source)
        std = np.sqrt(np.maximum(square - mean**2, 0))
        is_number = np.array([not column.categories for column in columns])
        for column, deviation in zip(columns, std, strict=True):
            if not column.categories and not deviation > 0:
                raise UserError(
                    f'config.context must name columns that vary; found {column.name!r} constant in the training '
                    'split: leave it out.'
                )
        mean = np.where(is_number, mean + shift[0], 0)
        scales = (
            jnp.asarray(mean, jnp.float32),
            jnp.asarray(np.where(is_number, std, 1), jnp.float32),
        )
        return cls(jnp.asarray(kept, jnp.float32), *scales, columns, D)

    @classmethod
    def template(cls, description: Description) -> Self:
        """The same pytree, zeros for the fitted arrays."""
        columns = _columns(description)
        k, kept = len(columns), min(KEPT, description.split_sizes[0])
        arrays = jnp.zeros((kept, k)), jnp.zeros(k), jnp.zeros(k)
        return cls(*arrays, columns, description.num_features)

    def of(self, columns: jax.Array | np.ndarray) -> jax.Array:
        """The columns behind x, (B, k) as stored -> c (B, C), float32."""
        x = jnp.asarray(columns.astype(jnp.float32))
        scaled = (x - self.mean[None]) / self.std[None]
        parts = [
            jax.nn.one_hot(x[:, place].astype(jnp.int32), column.width)
            if column.categories
            else scaled[:, place : place + 1]
            for place, column in enumerate(self.columns)
        ]
        return jnp.concatenate(parts, axis=1)

    def draw(self, key: jax.Array, n: int) -> jax.Array:
        """n contexts as frequent as among training rows, (n, C)."""
        return self.of(self.draw_columns(key, n))

    def draw_columns(self, key: jax.Array, n: int) -> jax.Array:
        """The same as columns, (n, k)."""
        return self.rows[jax.random.randint(key, (n,), 0, len(self.rows))]

    def read(self, text: str) -> np.ndarray:
        """c (C,) from `label=3,age=40`; raises UserError."""
        return np.asarray(self.of(self.read_columns(text)[None])[0])

    def read_columns(self, text: str) -> np.ndarray:
        """The same as columns, (k,)."""
        given = dict(part.partition('=')[::2] for part in text.split(','))
        names = [column.name for column in self.columns]
        if sorted(name.strip() for name in given) != sorted(names):
            raise UserError(
                f'the context must give each of its columns once, as in {"=...,".join(names)}=...; found {text!r}.'
            )
        values = {name.strip(): value.strip() for name, value in given.items()}
        return np.array(
            [_value(column, values[column.name]) for column in self.columns], np.float32
        )


def _value(column: Column, text: str) -> float:
    """A category as its number, or the number itself."""
    if column.categories:
        if text not in column.categories:
            known = ', '.join(column.categories[:10])
            raise UserError(
                f'the context must have a category of column {column.name!r}, such as {known}; found {text!r}.'
            )
        return column.categories.index(text)
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not np.isfinite(np.float32(number)):
        raise UserError(
            f'the context must have a finite number for column {column.name!r}; found {text!r}.'
        )
    return number


def _columns(description: Description) -> tuple[Column, ...]:
    return () if description.table is None else description.table.context
