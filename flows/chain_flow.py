"""The flow that a list of bijectors makes."""

from collections.abc import Sequence

import jax

from flows.bijector import Bijector, Chain, Conditional, WithLogDet, handed, own_copy, takes_context
from flows.flow import Flow


class ChainFlow(Conditional, Flow, kw_only=True):
    """z = f_n(... f_2(f_1(x))); a context goes to the layers, and to the base density, that take one.

    Attributes:
        num_features: D.
        layers: the f_i, the first nearest the data; each is used with parameters of its own.
        base: density of z.
    """

    num_features: int = 2
    layers: tuple[Bijector, ...] = ()

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        """Whether any part of it depends on a context."""
        return any(takes_context(part) for part in (*self.layers, self.base))

    @property
    def parts(self) -> Sequence[Bijector]:
        """The layers."""
        return self.layers

    def setup(self) -> None:
        self.chain = Chain([own_copy(layer) for layer in self.layers])

    def forward_and_log_det(self, x: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From x (B, D), given c (B, C), to z (B, D) and log|det dz/dx| (B,)."""
        return self.chain.forward_and_log_det(x, **handed(self.chain, context))

    def inverse_and_log_det(self, z: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From z (B, D), given c (B, C), to x (B, D) and log|det dx/dz| (B,)."""
        return self.chain.inverse_and_log_det(z, **handed(self.chain, context))
