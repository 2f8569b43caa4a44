"""NICE: additive coupling layers under a diagonal scaling.

Dinh, Krueger, Bengio, 'NICE: Non-linear independent components estimation', 2014, arXiv:1410.8516.

    h_1 = x with x_2 := x_2 + m_1(x_1),    h_2 = h_1 with the parts in exchanged roles, ...
    z = exp(s) h_n,    log p(x) = sum_d log p(z_d) + sum_d s_d
"""

import flax.linen as nn
import jax.numpy as jnp

from flows.bijector import Chain, check_float, wide_dtype
from flows.coupling import AdditiveCoupling, Halves, Reverse, Stripes
from flows.flow import Flow
from flows.mlp import MLP


class DiagonalScaling(nn.Module):
    """z = exp(s) x, elementwise, s zero at first; log|det dz/dx| = sum_d s_d.

    Raises ValueError for an input of integers or booleans.
    """

    @property
    def num_features(self):
        """The width D of an initialised layer."""
        return self.get_variable('params', 's').shape[0]

    @nn.compact
    def _s(self, x):
        check_float('DiagonalScaling', x)
        return self.param('s', nn.initializers.zeros, x.shape[1:], wide_dtype(x))

    def forward_and_log_det(self, x):
        """From x (B, D) to z (B, D) and sum_d s_d (B,)."""
        s = self._s(x)
        return x * jnp.exp(s).astype(x.dtype)[None], jnp.full(x.shape[:1], s.sum(), wide_dtype(x))

    def inverse_and_log_det(self, z):
        """From z (B, D) to x (B, D) and -sum_d s_d (B,)."""
        s = self._s(z)
        return z * jnp.exp(-s).astype(z.dtype)[None], jnp.full(z.shape[:1], -s.sum(), wide_dtype(z))


def odd_first(coupling, num_couplings):
    """Counting from one as the paper does, the odd components drive first, then by turns."""
    return [coupling(Stripes(index % 2)) for index in range(num_couplings)]


def even_first(coupling, num_couplings):
    """Counting from one, the even components drive first, then by turns."""
    return [coupling(Stripes(1 - index % 2)) for index in range(num_couplings)]


def halves(coupling, num_couplings):
    """As the authors' code: the first half drives the second, then the order is reversed.

    With an odd D the component in the middle is moved and never drives.
    """
    return [layer for _ in range(num_couplings) for layer in (coupling(Halves()), Reverse())]


PARTITIONS = {'odd_first': odd_first, 'even_first': even_first, 'halves': halves}


class NICE(Flow):
    """Additive couplings, then the scaling; any D, odd ones too.

    Attributes:
        prior: 'logistic' or 'gaussian'.
        num_couplings: at least three are needed to let every component depend on every other.
        hidden_layers, hidden_units: size of each coupling's m, see `flows.MLP` for its start.
        partition: which components drive which, a name in `flows.PARTITIONS`.

    Raises ValueError for an unknown name.
    """

    prior: str = 'logistic'
    num_couplings: int = 4
    hidden_layers: int = 5
    hidden_units: int = 1000
    partition: str = 'odd_first'

    def __post_init__(self):
        if self.partition not in PARTITIONS:
            known = ', '.join(PARTITIONS)
            raise ValueError(f'Unknown partition {self.partition!r}: choose one of {known}.')
        super().__post_init__()

    def setup(self):
        def coupling(partition):
            return AdditiveCoupling(partition, MLP(self.hidden_layers, self.hidden_units))

        self.scaling = DiagonalScaling()
        self.couplings = Chain(PARTITIONS[self.partition](coupling, self.num_couplings))

    @property
    def num_features(self):
        """The width D of an initialised model."""
        return self.scaling.num_features

    def forward_and_log_det(self, x):
        """From x (B, D) to z (B, D) and log|det dz/dx| = sum_d s_d (B,)."""
        h, zero = self.couplings.forward_and_log_det(x)
        z, log_det = self.scaling.forward_and_log_det(h)
        return z, zero + log_det

    def inverse_and_log_det(self, z):
        """From z (B, D) to x (B, D) and log|det dx/dz| = -sum_d s_d (B,)."""
        h, log_det = self.scaling.inverse_and_log_det(z)
        x, zero = self.couplings.inverse_and_log_det(h)
        return x, log_det + zero
