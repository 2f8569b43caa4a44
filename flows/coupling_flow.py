"""Affine coupling flow for vectors, the toy flow of the convergence study.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803; ActNorm
from Kingma, Dhariwal, "Glow", 2018, arXiv:1807.03039. T times

    z_t = reverse(actnorm(coupling(z_{t-1}))),   z_0 = x,

without the last reversal, and log p(x) = log N(z_T; 0, I) + sum_t log|det dz_t/dz_{t-1}|. With
four couplings in two dimensions it has the 82,824 parameters of the published architecture.
"""

from flows.actnorm import ActNorm
from flows.affine_coupling import AffineCoupling, MLPConditioner
from flows.bijector import Chain
from flows.coupling import Reverse
from flows.flow import Flow


class CouplingFlow(Flow):
    """Affine couplings, each followed by ActNorm, with reversals between them.

    Attributes:
        num_features: D >= 2.
        num_couplings: T; with none the flow is the identity.
        hidden: widths of each coupling's conditioner.
        log_scale_bound: see `AffineCoupling`.
    """

    num_features: int = 2
    num_couplings: int = 4
    hidden: tuple[int, ...] = (200, 100)
    log_scale_bound: float = 2.0

    def setup(self):
        layers = []
        for t in range(self.num_couplings):
            if t:
                layers.append(Reverse())
            layers.append(AffineCoupling(MLPConditioner(self.hidden), self.log_scale_bound))
            layers.append(ActNorm())
        self.chain = Chain(layers)

    def forward_and_log_det(self, x):
        """From x (B, D) to z_T (B, D) and log|det dz_T/dx| (B,)."""
        if x.shape[-1] != self.num_features:
            raise ValueError(
                f'num_features must be the width of x, found {self.num_features} and x of '
                f'shape {x.shape}.'
            )
        return self.chain.forward_and_log_det(x)

    def inverse_and_log_det(self, z):
        """From z_T (B, D) to x (B, D) and log|det dx/dz_T| (B,)."""
        return self.chain.inverse_and_log_det(z)
