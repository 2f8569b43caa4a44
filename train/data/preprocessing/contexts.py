"""The context c of p(x | c): what stands behind x in a row, as a model is given it.

What is fitted on the training split is there to draw contexts from: a trained model is sampled without its data.
"""

from typing import Protocol, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from train.data.base import Description
from train.data.preprocessing.column_contexts import KEPT, ColumnsContext
from train.data.storage.sources import Source, blocks
from train.errors import UserError

Rows = TypeVar('Rows', jax.Array, np.ndarray, jax.Array | np.ndarray)

ROWS_PER_BLOCK = 10_000


class Context(Protocol):
    """A pytree. `start`: D, the column in which the context begins."""

    @property
    def start(self) -> int: ...

    def of(self, columns: jax.Array | np.ndarray) -> jax.Array:
        """The columns behind x, (B, ...) as stored -> c (B, C), float32."""
        ...

    def draw(self, key: jax.Array, n: int) -> jax.Array:
        """n contexts as frequent as in the training split, (n, C)."""
        ...

    def read(self, text: str) -> np.ndarray:
        """c (C,) as a user writes it; raises UserError."""
        ...


@flax.struct.dataclass
class Labels:
    """A class 0 .. C - 1 in one column; c is its one-hot vector."""

    frequencies: jax.Array  # [C], of the classes among the training rows
    start: int = flax.struct.field(pytree_node=False)

    def of(self, columns: jax.Array | np.ndarray) -> jax.Array:
        labels = columns[:, 0].astype(jnp.int32)
        return jax.nn.one_hot(labels, len(self.frequencies), dtype=jnp.float32)

    def draw(self, key: jax.Array, n: int) -> jax.Array:
        labels = jax.random.choice(key, len(self.frequencies), (n,), p=self.frequencies)
        return self.of(labels[:, None])

    def read(self, text: str) -> np.ndarray:
        number = len(self.frequencies)
        if not text.isdecimal() or int(text) >= number:
            raise UserError(f'the context must be a class, 0 to {number - 1}; found {text!r}.')
        return np.eye(number, dtype=np.float32)[int(text)]


@flax.struct.dataclass
class Numbers:
    """C real numbers, as they stand."""

    rows: jax.Array  # [n, C], the contexts of the first training rows
    start: int = flax.struct.field(pytree_node=False)

    def of(self, columns: jax.Array | np.ndarray) -> jax.Array:
        return jnp.asarray(columns.astype(jnp.float32))

    def draw(self, key: jax.Array, n: int) -> jax.Array:
        return self.rows[jax.random.randint(key, (n,), 0, len(self.rows))]

    def read(self, text: str) -> np.ndarray:
        number = self.rows.shape[1]
        try:
            c = np.array([float(part) for part in text.split(',')], np.float32)
        except ValueError:
            c = np.array([])
        if len(c) != number or not np.isfinite(c).all():
            raise UserError(
                f'the context must be numbers, {number} with commas between them; found {text!r}.'
            )
        return c


def fit(description: Description, train_source: Source) -> Context:
    """What a dataset with contexts has behind x, from its training rows; UserError for a class that there is not."""
    D, C = description.num_features, description.context
    if description.table is not None:
        return ColumnsContext.fit(description, train_source)
    if not description.labelled:
        rows = train_source.gather(np.arange(min(KEPT, len(train_source))))[:, D:]
        return Numbers(jnp.asarray(rows, jnp.float32), D)
    counts = np.zeros(C, np.int64)
    for _, rows in blocks(train_source, ROWS_PER_BLOCK):
        labels = rows[:, D].astype(np.int64)
        if labels.min() < 0 or labels.max() >= C:
            raise UserError(
                f'the classes of {description.name} must lie in 0 .. {C - 1}; found {labels.min()} to {labels.max()} '
                'in the training split: make the dataset again.'
            )
        counts += np.bincount(labels, minlength=C)
    return Labels(jnp.asarray(counts / counts.sum(), jnp.float32), D)


def template(description: Description) -> Context:
    """The same pytree, zeros for the fitted array."""
    D, C = description.num_features, description.context
    if description.table is not None:
        return ColumnsContext.template(description)
    if description.labelled:
        return Labels(jnp.zeros(C), D)
    return Numbers(jnp.zeros((min(KEPT, description.split_sizes[0]), C)), D)
