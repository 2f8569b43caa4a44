"""Masks: which components of x drive a coupling, and which it moves.

Dinh, Krueger, Bengio, "NICE: Non-linear independent components estimation", 2014, arXiv:1410.8516.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
from flax import struct


class Mask(Protocol):
    """Two parts of the last axis, x_1 which drives and x_2 which is moved; a frozen dataclass."""

    def split(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x (..., D) as its parts x_1 (..., D_1) and x_2 (..., D_2)."""
        ...

    def merge(self, x_1: jax.Array, x_2: jax.Array) -> jax.Array:
        """The x (..., D) whose parts are x_1 and x_2."""
        ...


@struct.dataclass
class AlternatingMask:
    """Components `first`, `first` + 2, ... are part one, the others part two; `first` is 0 or 1."""

    first: int = struct.field(pytree_node=False)

    def __post_init__(self) -> None:
        if self.first not in (0, 1):
            raise ValueError(f'first must be 0 or 1, got {self.first}.')

    def split(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x (..., D) as its parts x_1 (..., D_1) and x_2 (..., D_2)."""
        return x[..., self.first :: 2], x[..., 1 - self.first :: 2]

    def merge(self, x_1: jax.Array, x_2: jax.Array) -> jax.Array:
        """The x (..., D) whose parts are x_1 and x_2."""
        width = x_1.shape[-1] + x_2.shape[-1]
        return _spread(x_1, self.first, width) + _spread(x_2, 1 - self.first, width)


def _spread(part: jax.Array, start: int, width: int) -> jax.Array:
    # Zeros in between: a pad is a plain copy on every device, where a scatter is not.
    covered = max(2 * part.shape[-1] - 1, 0)
    padding = [(0, 0, 0)] * (part.ndim - 1) + [(start, width - start - covered, 1)]
    return jax.lax.pad(part, jnp.zeros((), part.dtype), padding)


@struct.dataclass
class HalfMask:
    """The first D // 2 components are part one, the rest part two."""

    def split(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x (..., D) as its parts x_1 (..., D // 2) and x_2 (..., D - D // 2)."""
        middle = x.shape[-1] // 2
        return x[..., :middle], x[..., middle:]

    def merge(self, x_1: jax.Array, x_2: jax.Array) -> jax.Array:
        """The x (..., D) whose parts are x_1 and x_2."""
        return jnp.concatenate([x_1, x_2], axis=-1)


def alternating(number: int, first: int = 0) -> tuple[AlternatingMask, ...]:
    """`number` alternating masks in turn exchanged; the components `first`, `first` + 2, ... drive first."""
    return tuple(AlternatingMask((first + index) % 2) for index in range(number))
