"""Variational dequantisation: noise within the grey levels whose density is learnt.

Ho, Chen, Srinivas, Duan, Abbeel, "Flow++", 2019, arXiv:1902.00275; as a surjection: Nielsen et al.,
"SurVAE flows", 2020, arXiv:2007.02731. With a flow g given x,

    u = sigmoid(g(e; x)),   e ~ Logistic(0, 1)^D,   z = (x + u) / levels
    -log q(z | x) = -log p(e) + log|det dg/de| + log|du/dg| - D log levels

At the start g only exchanges places, so that u is uniform and the bound that of uniform
dequantisation.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from flows.base_densities import Logistic
from flows.bijector import zero_log_det
from flows.coupling.coupling import Coupling
from flows.elementwise.transformers import BoundedAffine, Transformer
from flows.image.glow import ConvNet, zero_conv3x3
from flows.image.squeeze import Squeeze
from flows.image.surjections import into_cell, level_of


@struct.dataclass
class LastQuarter:
    """A mask: the first three quarters of the components drive, the last is moved."""

    def split(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x (..., 4 n) as its parts (..., 3 n) and (..., n)."""
        middle = 3 * x.shape[-1] // 4
        return x[..., :middle], x[..., middle:]

    def merge(self, x_1: jax.Array, x_2: jax.Array) -> jax.Array:
        """The inverse of `split`."""
        return jnp.concatenate([x_1, x_2], axis=-1)


class VariationalDequantisation(nn.Module):
    """Integers 0 .. levels - 1 to reals on [0, 1), see `flows.image.surjections.Dequantisation`.

    g is made of affine couplings on the squeezed noise, whose halves take turns; each sees the image.

    Attributes:
        levels: how many.
        num_couplings: of g.
        conditioner, transformer: of each coupling, see `Coupling`; each has a copy of the conditioner.
    """

    levels: int = 256
    num_couplings: int = 4
    conditioner: nn.Module = ConvNet(32)
    transformer: Transformer = BoundedAffine()

    def setup(self) -> None:
        self.couplings = [
            Coupling(
                self.conditioner.copy(),
                self.transformer,
                mask=LastQuarter(),
                last=zero_conv3x3,
            )
            for _ in range(self.num_couplings)
        ]

    def forward_and_bound(self, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x: (B, H, W, C) whole numbers, H and W even, keys (B,) -> z of its shape, -log q(z | x) (B,)."""
        e = jax.vmap(lambda key: Logistic().sample(key, x.shape[1:], x.dtype))(keys)
        g, log_det = self._noise(e, x)
        log_p, log_slope = (Logistic().log_prob(y.reshape(len(y), -1)) for y in (e, g))
        log_volume = math.prod(x.shape[1:]) * math.log(self.levels)
        z = into_cell(x, jax.nn.sigmoid(g), self.levels)
        # The slope of the sigmoid is the density of the logistic distribution.
        return z, -log_p + log_det + log_slope - log_volume

    def inverse(self, z: jax.Array) -> jax.Array:
        """z: (B, ...) reals -> x, the level whose cell holds z; beyond the ends the last one."""
        return level_of(z, self.levels)

    def _noise(self, e: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """g(e; x) (B, H, W, C) and log|det dg/de| (B,)."""
        image, _ = Squeeze().forward_and_log_det(x / (self.levels - 1) - 0.5)
        h, log_det = Squeeze().forward_and_log_det(e)[0], zero_log_det(e)
        for coupling in self.couplings:
            moved, term = coupling.forward_and_log_det(jnp.concatenate([image, h], axis=-1))
            h_1, h_2 = jnp.split(moved[..., image.shape[-1] :], 2, axis=-1)
            h, log_det = jnp.concatenate([h_2, h_1], axis=-1), log_det + term
        return Squeeze().inverse_and_log_det(h)[0], log_det
