"""Stochastic layers of a flow: uniform dequantisation and augmentation.

Nielsen, Jaini, Hoogeboom, Winther, Welling, "SurVAE flows", 2020, arXiv:2007.02731; Uria, Murray,
Larochelle, "RNADE", 2013, arXiv:1306.0186 (dequantisation); Huang, Dinh, Courville, "Augmented
normalizing flows", 2020, arXiv:2002.07101.

A layer draws z ~ q(z | x) such that x is a function of z, and adds -log q(z | x) to the bound

    log p(x) >= E_q[log p(z) - log q(z | x)].

A model with such a layer has a bound, not an exact likelihood. The log-mean-exp of the same terms
over several draws is a bound too, and a tighter one.
"""

import math
from typing import Protocol

import jax
import jax.numpy as jnp
from flax import struct

from flows.bijector import zero_log_det
from flows.keys import uniform


class Dequantisation(Protocol):
    """Integers 0 .. levels - 1 to reals on [0, 1): z = (x + u) / levels with u ~ q(u | x) on [0, 1)^D."""

    def forward_and_bound(self, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x: (B, ...) whole numbers, keys (B,) -> z of the same shape and -log q(z | x) (B,)."""
        ...

    def inverse(self, z: jax.Array) -> jax.Array:
        """z: (B, ...) reals -> x, the level whose cell holds z; beyond the ends the last one."""
        ...


def into_cell(x: jax.Array, u: jax.Array, levels: int) -> jax.Array:
    """(x + u) / levels for whole x and u on [0, 1], in the cell [x, x + 1) / levels also after rounding."""
    return jnp.minimum((x + u) / levels, jnp.nextafter((x + 1) / levels, jnp.zeros_like(x)))


def level_of(z: jax.Array, levels: int) -> jax.Array:
    """The whole x whose cell [x, x + 1) / levels holds z; beyond the ends the last one."""
    x = jnp.floor(z * levels)
    # The product is rounded otherwise than the borders of the cells.
    x = x - (z < x / levels) + (z >= (x + 1) / levels)
    return jnp.clip(x, 0, levels - 1)


@struct.dataclass
class UniformDequantisation:
    """Integers 0 .. levels - 1 to reals on [0, 1): z = (x + u) / levels with u ~ U[0, 1)^D."""

    levels: int = struct.field(pytree_node=False, default=2)

    def forward_and_bound(self, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x: (B, ...) whole numbers, keys (B,) -> z of the same shape and -log q(z | x) (B,)."""
        z = into_cell(x, uniform(keys, x.shape[1:], x.dtype), self.levels)
        log_volume = math.prod(x.shape[1:]) * math.log(self.levels)
        return z, jnp.full(len(x), -log_volume, x.dtype)

    def inverse(self, z: jax.Array) -> jax.Array:
        """z: (B, ...) reals -> x, the level whose cell holds z; beyond the ends the last one."""
        return level_of(z, self.levels)


@struct.dataclass
class UniformAugmentation:
    """Adds channels u ~ U[0, 1), which gives couplings something to condition on: z = [x, u]."""

    channels: int = struct.field(pytree_node=False, default=1)  # 0: none

    def forward_and_bound(self, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x: (B, ..., C), keys (B,) -> z (B, ..., C + channels) and -log q(u) = 0 (B,)."""
        u = uniform(keys, (*x.shape[1:-1], self.channels), x.dtype)
        return jnp.concatenate([x, u], axis=-1), zero_log_det(x)

    def inverse(self, z: jax.Array) -> jax.Array:
        """z: (B, ..., C + channels) -> x (B, ..., C)."""
        return z[..., : z.shape[-1] - self.channels]
