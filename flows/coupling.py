"""Partitions of the components of x into two parts, and the additive coupling of the parts.

Dinh, Krueger, Bengio, 'NICE: Non-linear independent components estimation', 2014, arXiv:1410.8516.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from flows.bijector import zero_log_det


@struct.dataclass
class Stripes:
    """Components `first`, `first` + 2, ... are part one, the others part two; `first` is 0 or 1."""

    first: int = struct.field(pytree_node=False)

    def split(self, x):
        """x (B, D) as its parts x_1 (B, D_1) and x_2 (B, D_2)."""
        return x[:, self.first :: 2], x[:, 1 - self.first :: 2]

    def merge(self, x_1, x_2):
        """The x (B, D) whose parts are x_1 and x_2."""
        width = x_1.shape[1] + x_2.shape[1]
        return _spread(x_1, self.first, width) + _spread(x_2, 1 - self.first, width)


def _spread(part, start, width):
    # Zeros in between: a pad is a plain copy on every device, where a scatter is not.
    covered = max(2 * part.shape[1] - 1, 0)
    padding = [(0, 0, 0), (start, width - start - covered, 1)]
    return jax.lax.pad(part, jnp.zeros((), part.dtype), padding)


@struct.dataclass
class Halves:
    """The first D // 2 components are part one, the rest part two."""

    def split(self, x):
        """x (B, D) as its parts x_1 (B, D // 2) and x_2 (B, D - D // 2)."""
        middle = x.shape[1] // 2
        return x[:, :middle], x[:, middle:]

    def merge(self, x_1, x_2):
        """The x (B, D) whose parts are x_1 and x_2."""
        return jnp.concatenate([x_1, x_2], axis=1)


@struct.dataclass
class Reverse:
    """z = x with the order of its components reversed."""

    def forward_and_log_det(self, x):
        """From x (B, D) to z (B, D) and 0 (B,)."""
        return x[:, ::-1], zero_log_det(x)

    def inverse_and_log_det(self, z):
        """From z (B, D) to x (B, D) and 0 (B,)."""
        return z[:, ::-1], zero_log_det(z)


class AdditiveCoupling(nn.Module):
    """z_1 = x_1, z_2 = x_2 + m(x_1); the determinant is 1.

    Attributes:
        partition: what makes x_1 and x_2 of x, `Stripes` or `Halves`.
        m: any function m(x_1, D_2) -> (B, D_2), of x_1 (B, D_1); a Linen module such as `MLP`, or a
            plain function.
    """

    partition: Any
    m: Callable

    def forward_and_log_det(self, x):
        """From x (B, D) to z (B, D) and 0 (B,)."""
        x_1, x_2 = self.partition.split(x)
        z_2 = x_2 + self.m(x_1, x_2.shape[1])
        return self.partition.merge(x_1, z_2), zero_log_det(x)

    def inverse_and_log_det(self, z):
        """From z (B, D) to x (B, D) and 0 (B,)."""
        z_1, z_2 = self.partition.split(z)
        x_2 = z_2 - self.m(z_1, z_2.shape[1])
        return self.partition.merge(z_1, x_2), zero_log_det(z)
