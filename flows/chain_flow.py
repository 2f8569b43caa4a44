"""The flow that a list of bijectors makes."""

import jax

from flows.bijector import Bijector, Chain, WithLogDet, own_copy
from flows.flow import Flow


class ChainFlow(Flow, kw_only=True):
    """z = f_n(... f_2(f_1(x))).

    Attributes:
        num_features: D.
        layers: the f_i, the first nearest the data; each is used with parameters of its own.
        base: density of z.
    """

    num_features: int = 2
    layers: tuple[Bijector, ...] = ()

    def setup(self) -> None:
        self.chain = Chain([own_copy(layer) for layer in self.layers])

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z (B, D) and log|det dz/dx| (B,)."""
        return self.chain.forward_and_log_det(x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x (B, D) and log|det dx/dz| (B,)."""
        return self.chain.inverse_and_log_det(z)
