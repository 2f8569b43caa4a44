"""Invertible 1x1 convolution.

Kingma, Dhariwal, "Glow: Generative flow with invertible 1x1 convolutions", 2018, arXiv:1807.03039:
every pixel's channels are multiplied by one square matrix, z = x W, log|det dz/dx| = (pixels) *
log|det W|.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows.bijector import WithLogDet, check_float


class InvertibleConv(nn.Module):
    """A square matrix on the channels (last axis), random orthogonal at the start."""

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """x: (B, ..., C) -> z of the same shape and log_det (B,)."""
        w = self._matrix(x)
        return (x @ w).astype(x.dtype), _log_det(w, x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """The inverse of `forward_and_log_det`, with its own log_det."""
        w = self._matrix(z)
        return (z @ jnp.linalg.inv(w)).astype(z.dtype), -_log_det(w, z)

    @nn.compact
    def _matrix(self, x: jax.Array) -> jax.Array:
        check_float('InvertibleConv', x)
        channels = x.shape[-1]
        return self.param('W', nn.initializers.orthogonal(), (channels, channels))


def _log_det(w: jax.Array, x: jax.Array) -> jax.Array:
    pixels = math.prod(x.shape[1:-1])
    return jnp.broadcast_to(pixels * jnp.linalg.slogdet(w)[1], x.shape[:1])
