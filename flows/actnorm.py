"""Activation normalisation with a data-dependent start.

Kingma, Dhariwal, "Glow: Generative flow with invertible 1x1 convolutions", 2018, arXiv:1807.03039.
Per channel,

    z = (x - shift) * exp(-log_scale),   log|det dz/dx| = -(pixels) * sum log_scale.

The parameters are made from the x that flows through at initialisation, such that z then has mean
0 and standard deviation 1 in every channel. From then on they are ordinary parameters: restoring
them from a checkpoint does not look at data again.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows.bijector import WithLogDet, check_float, widen


class ActNorm(nn.Module):
    """Shift and scale per channel (last axis) of vectors (B, C) or images (B, H, W, C)."""

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """x: (B, ..., C) -> z of the same shape and log_det (B,)."""
        shift, log_scale = self._shift_and_log_scale(x, from_data=True)
        z = (x - _channels(shift, x)) * jnp.exp(-_channels(log_scale, x))
        return z.astype(x.dtype), -_log_det(log_scale, x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """The inverse; if it is what initialises the layer, the layer starts as the identity."""
        shift, log_scale = self._shift_and_log_scale(z, from_data=False)
        x = z * jnp.exp(_channels(log_scale, z)) + _channels(shift, z)
        return x.astype(z.dtype), _log_det(log_scale, z)

    @nn.compact
    def _shift_and_log_scale(self, x: jax.Array, from_data: bool) -> tuple[jax.Array, jax.Array]:
        check_float('ActNorm', x)
        x, width = widen(x), x.shape[-1:]
        axes = tuple(range(x.ndim - 1))

        def initial_shift(_: jax.Array) -> jax.Array:
            return x.mean(axis=axes) if from_data else jnp.zeros(width, x.dtype)

        def initial_log_scale(_: jax.Array) -> jax.Array:
            if not from_data:
                return jnp.zeros(width, x.dtype)
            # A channel that is constant in the examples, but for rounding, keeps its scale.
            std, smallest = x.std(axis=axes), 1e-6 * (1 + jnp.abs(x.mean(axis=axes)))
            return jnp.log(jnp.where(std > smallest, std, 1.0))

        return self.param('shift', initial_shift), self.param('log_scale', initial_log_scale)


def _channels(parameter: jax.Array, x: jax.Array) -> jax.Array:
    """The parameter (C,) with the axes of x."""
    return parameter.reshape((1,) * (x.ndim - 1) + (-1,))


def _log_det(log_scale: jax.Array, x: jax.Array) -> jax.Array:
    pixels = math.prod(x.shape[1:-1])
    return jnp.broadcast_to(pixels * log_scale.sum(), x.shape[:1])
