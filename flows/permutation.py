"""Permutations of the components."""

import jax
import numpy as np
from flax import struct

from flows.bijector import WithLogDet, zero_log_det


@struct.dataclass
class Reverse:
    """z = x with the order of its components reversed."""

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z (B, D) and 0 (B,)."""
        return x[:, ::-1], zero_log_det(x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x (B, D) and 0 (B,)."""
        return z[:, ::-1], zero_log_det(z)


@struct.dataclass
class Permutation:
    """z_d = x_{order[d]}; order: each of 0 .. D - 1 once.

    Raises ValueError for any other order.
    """

    order: tuple[int, ...] = struct.field(pytree_node=False)

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(
                f'order must have each of 0 .. {len(self.order) - 1} once, got {self.order}.'
            )

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z (B, D) and 0 (B,)."""
        return x[:, np.array(self.order)], zero_log_det(x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x (B, D) and 0 (B,)."""
        return z[:, np.argsort(self.order)], zero_log_det(z)
