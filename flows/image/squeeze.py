"""Space to channels, and the slice that ends a scale of a multi-scale flow.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803, section
3.6. Both move numbers only, so their log-determinant is zero.
"""

import jax
import jax.numpy as jnp
from flax import struct

from flows.bijector import WithLogDet, zero_log_det


@struct.dataclass
class Squeeze:
    """Every 2x2 block of pixels becomes one pixel: (B, H, W, C) -> (B, H/2, W/2, 4C)."""

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """x: (B, H, W, C), H and W even -> z (B, H/2, W/2, 4C), log_det (B,) of zeros."""
        b, h, w, c = x.shape
        if h % 2 or w % 2:
            raise ValueError(f'squeeze needs an even height and width, found {h} x {w}.')
        blocks = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4)
        return blocks.reshape(b, h // 2, w // 2, 4 * c), zero_log_det(x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """z: (B, H, W, C), C a multiple of 4 -> x (B, 2H, 2W, C/4), log_det (B,) of zeros."""
        b, h, w, c = z.shape
        if c % 4:
            raise ValueError(f'the inverse of squeeze needs channels in fours, found {c}.')
        blocks = z.reshape(b, h, w, c // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
        return blocks.reshape(b, 2 * h, 2 * w, c // 4), zero_log_det(z)


@struct.dataclass
class Slice:
    """The first `keep` channels go on to the next scale, the others are finished latents."""

    keep: int = struct.field(pytree_node=False)

    def split(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x: (B, H, W, C) -> kept (B, H, W, keep), finished (B, H * W * (C - keep))."""
        return x[..., : self.keep], x[..., self.keep :].reshape(len(x), -1)

    def join(self, kept: jax.Array, finished: jax.Array) -> jax.Array:
        """The inverse of `split`."""
        return jnp.concatenate([kept, finished.reshape(*kept.shape[:-1], -1)], axis=-1)
