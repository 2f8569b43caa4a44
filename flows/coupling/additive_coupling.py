"""Additive coupling layer.

Dinh, Krueger, Bengio, "NICE: Non-linear independent components estimation", 2014, arXiv:1410.8516.
"""

from collections.abc import Callable

import flax.linen as nn
import jax

from flows.bijector import WithLogDet, zero_log_det
from flows.coupling.masks import Mask


class AdditiveCoupling(nn.Module):
    """z_1 = x_1, z_2 = x_2 + m(x_1); the determinant is 1.

    Attributes:
        mask: what makes x_1 and x_2 of x.
        m: any function m(x_1, D_2) -> (B, D_2), of x_1 (B, D_1): a Linen module such as `MLP`, or a plain function.
    """

    mask: Mask
    m: Callable[[jax.Array, int], jax.Array]

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z (B, D) and 0 (B,)."""
        x_1, x_2 = self.mask.split(x)
        z_2 = x_2 + self.m(x_1, x_2.shape[1])
        return self.mask.merge(x_1, z_2), zero_log_det(x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x (B, D) and 0 (B,)."""
        z_1, z_2 = self.mask.split(z)
        x_2 = z_2 - self.m(z_1, z_2.shape[1])
        return self.mask.merge(z_1, x_2), zero_log_det(z)
