"""Coupling flow for vectors, by default the affine one of the convergence study.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803; ActNorm
from Kingma, Dhariwal, "Glow", 2018, arXiv:1807.03039. T times

    z_t = reverse(actnorm(coupling(z_{t-1}))),   z_0 = x,

without the last reversal, and log p(x) = log p(z_T) + sum_t log|det dz_t/dz_{t-1}|. With
four couplings in two dimensions it has the 82,824 parameters of the published architecture.
"""

import flax.linen as nn
import jax

from flows.actnorm import ActNorm
from flows.bijector import Bijector, Chain, Conditional, WithLogDet
from flows.coupling.coupling import Coupling
from flows.coupling.mlp import MLPConditioner
from flows.elementwise.transformers import BoundedAffine, Transformer
from flows.flow import Flow
from flows.permutation import Reverse


class CouplingFlow(Conditional, Flow):
    """Couplings, each followed by ActNorm, with reversals between them; with a context all couplings depend on it.

    Attributes:
        num_features: D >= 2.
        num_couplings: T; with none the flow is the identity.
        conditioner, transformer: of each coupling, see `Coupling`; each has a copy of the conditioner.
        base: density of z_T.
    """

    num_features: int = 2
    num_couplings: int = 4
    conditioner: nn.Module = MLPConditioner()
    transformer: Transformer = BoundedAffine()

    def setup(self) -> None:
        layers: list[Bijector] = []
        for t in range(self.num_couplings):
            if t:
                layers.append(Reverse())
            layers.append(Coupling(self.conditioner.copy(), self.transformer))
            layers.append(ActNorm())
        self.chain = Chain(layers)

    def forward_and_log_det(self, x: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From x (B, D), given c (B, C), to z_T (B, D) and log|det dz_T/dx| (B,)."""
        if x.shape[-1] != self.num_features:
            raise ValueError(
                f'num_features must be the width of x, found {self.num_features} and x of '
                f'shape {x.shape}.'
            )
        return self.chain.forward_and_log_det(x, context)

    def inverse_and_log_det(self, z: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From z_T (B, D), given c (B, C), to x (B, D) and log|det dx/dz_T| (B,)."""
        return self.chain.inverse_and_log_det(z, context)
