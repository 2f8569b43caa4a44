"""Permutations of the components."""

import jax
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
