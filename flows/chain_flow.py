"""The flow that a list of bijectors makes."""

import jax

from flows.bijector import Bijector, Chain, Conditional, WithLogDet, handed, own_copy, takes_context
from flows.flow import Flow
from flows.model import Terms
from flows.relative.affine_layer import RelativeAffine


class ChainFlow(Conditional, Flow, kw_only=True):
    """z = f_n(... f_2(f_1(x))); a context goes to the layers, and to the base density, that take one.

    With a `RelativeAffine` among the layers the objective names no term but the loss, which alone needs log|det W|.

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

    def setup(self) -> None:
        self.chain = Chain([own_copy(layer) for layer in self.layers])

    def forward_and_log_det(self, x: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From x (B, D), given c (B, C), to z (B, D) and log|det dz/dx| (B,)."""
        return self.chain.forward_and_log_det(x, **handed(self.chain, context))

    def inverse_and_log_det(self, z: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From z (B, D), given c (B, C), to x (B, D) and log|det dx/dz| (B,)."""
        return self.chain.inverse_and_log_det(z, **handed(self.chain, context))

    def objective(
        self,
        x: jax.Array,
        keys: jax.Array | None,
        step: jax.Array | None,
        context: jax.Array | None = None,
    ) -> Terms:
        """{'loss'}, and 'nll' where its value is cheap, both -log p(x | c) in nats, (B,); see `Flow.objective`."""
        terms = super().objective(x, keys, step, context)
        if any(isinstance(layer, RelativeAffine) for layer in self.layers):
            del terms['nll']
        return terms
