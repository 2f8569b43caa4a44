"""Transformers: increasing functions of each component, with parameters that a conditioner gives.

z_d = tau(x_d; theta_d)
"""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp

from flows.bijector import WithLogDet


class Transformer(Protocol):
    """tau and its inverse; a frozen dataclass. It is the identity where all parameters are zero."""

    @property
    def num_parameters(self) -> int:
        """How many numbers theta_d has."""
        ...

    def forward_and_log_slope(self, x: jax.Array, theta: Sequence[jax.Array]) -> WithLogDet:
        """From x and `num_parameters` arrays of its shape to z and log dz_d/dx_d, both of the shape of x."""
        ...

    def inverse_and_log_slope(self, z: jax.Array, theta: Sequence[jax.Array]) -> WithLogDet:
        """From z and `num_parameters` arrays of its shape to x and log dx_d/dz_d, both of the shape of z."""
        ...


@dataclasses.dataclass(frozen=True)
class BoundedAffine:
    """z = x exp(s) + t with s = bound tanh(raw / bound), theta = (raw, t).

    So one layer scales by at most exp(bound): with an unbounded exponential half of the published runs on the
    checkerboard diverge.
    """

    bound: float = 2.0
    num_parameters: ClassVar[int] = 2

    def forward_and_log_slope(self, x: jax.Array, theta: Sequence[jax.Array]) -> WithLogDet:
        """x exp(s) + t, and s."""
        log_scale, shift = self._log_scale_and_shift(theta)
        return x * jnp.exp(log_scale) + shift, log_scale

    def inverse_and_log_slope(self, z: jax.Array, theta: Sequence[jax.Array]) -> WithLogDet:
        """(z - t) exp(-s), and -s."""
        log_scale, shift = self._log_scale_and_shift(theta)
        return (z - shift) * jnp.exp(-log_scale), -log_scale

    def _log_scale_and_shift(self, theta: Sequence[jax.Array]) -> WithLogDet:
        raw, shift = theta
        return self.bound * jnp.tanh(raw / self.bound), shift
