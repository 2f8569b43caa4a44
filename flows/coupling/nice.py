"""NICE: additive coupling layers under a diagonal scaling.

Dinh, Krueger, Bengio, "NICE: Non-linear independent components estimation", 2014, arXiv:1410.8516.

    h_1 = x with x_2 := x_2 + m_1(x_1),    h_2 = h_1 with the parts in exchanged roles, ...
    z = exp(s) h_n,    log p(x) = sum_d log p(z_d) + sum_d s_d
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows.base_densities import BaseDensity, Logistic
from flows.bijector import Bijector, Chain, WithLogDet, check_float, own_copy, wide_dtype
from flows.coupling.additive_coupling import AdditiveCoupling
from flows.coupling.masks import Mask, alternating
from flows.coupling.mlp import MLP
from flows.flow import Flow


class DiagonalScaling(nn.Module):
    """z = exp(s) x, elementwise, s zero at first; log|det dz/dx| = sum_d s_d.

    Raises ValueError for an input of integers or booleans.
    """

    @property
    def num_features(self) -> int:
        """The width D of an initialised layer."""
        return self.get_variable('params', 's').shape[0]

    @nn.compact
    def _s(self, x: jax.Array) -> jax.Array:
        check_float('DiagonalScaling', x)
        return self.param('s', nn.initializers.zeros, x.shape[1:], wide_dtype(x))

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z (B, D) and sum_d s_d (B,)."""
        s = self._s(x)
        return x * jnp.exp(s).astype(x.dtype)[None], jnp.full(x.shape[:1], s.sum(), wide_dtype(x))

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x (B, D) and -sum_d s_d (B,)."""
        s = self._s(z)
        return z * jnp.exp(-s).astype(z.dtype)[None], jnp.full(z.shape[:1], -s.sum(), wide_dtype(z))


class NICE(Flow, kw_only=True):
    """Additive couplings, then the scaling; any D, odd ones too.

    Attributes:
        masks: of the couplings in turn; at least three are needed to let every component depend on every other. With
            `HalfMask` and an odd D the component in the middle is moved and never drives.
        mixing: a bijector after each coupling, such as `Reverse` where the masks are all the same; None for none.
        conditioner: m of each coupling, a module of which each has a copy; see `MLP` for its start.
        base: density of z.
    """

    base: BaseDensity = Logistic()
    masks: tuple[Mask, ...] = alternating(4)
    mixing: Bijector | None = None
    conditioner: nn.Module = MLP(hidden_layers=5, hidden_units=1000)

    def setup(self) -> None:
        layers: list[Bijector] = []
        for mask in self.masks:
            layers.append(AdditiveCoupling(mask, self.conditioner.copy()))
            if self.mixing is not None:
                layers.append(own_copy(self.mixing))
        self.scaling = DiagonalScaling()
        self.couplings = Chain(layers)

    @property
    def parts(self) -> Sequence[Bijector]:
        """The mixing."""
        return () if self.mixing is None else (self.mixing,)

    @property
    def num_features(self) -> int:
        """The width D of an initialised model."""
        return self.scaling.num_features

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z (B, D) and log|det dz/dx| = sum_d s_d (B,)."""
        h, zero = self.couplings.forward_and_log_det(x)
        z, log_det = self.scaling.forward_and_log_det(h)
        return z, zero + log_det

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x (B, D) and log|det dx/dz| = -sum_d s_d (B,)."""
        h, log_det = self.scaling.inverse_and_log_det(z)
        x, zero = self.couplings.inverse_and_log_det(h)
        return x, log_det + zero
