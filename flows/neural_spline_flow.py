"""Neural spline flows, RQ-NSF (C) by couplings and RQ-NSF (AR) autoregressively.

Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", 2019, arXiv:1906.04032. L steps of a mixing of the
components, published as a permutation and a matrix L U, and a layer of monotone rational-quadratic splines between
-B and B; one more mixing ends the flow. Beyond +-B the splines are the identity; an ActNorm, which is not published,
comes first and brings data of any scale there.
"""

import flax.linen as nn

from flows.actnorm import ActNorm
from flows.autoregressive.autoregressive import Autoregressive
from flows.autoregressive.made import MADE
from flows.base_densities import BaseDensity, Gaussian
from flows.bijector import Bijector
from flows.chain_flow import ChainFlow
from flows.coupling.coupling import Coupling
from flows.coupling.masks import alternating
from flows.coupling.mlp import ResidualMLP
from flows.elementwise.transformers import RationalQuadraticSpline, Transformer
from flows.mixing import Mixing, lu


def coupling_spline_flow(
    num_features: int,
    num_layers: int = 10,
    conditioner: nn.Module = ResidualMLP(),
    transformer: Transformer = RationalQuadraticSpline(),
    mixing: Mixing = lu,
    base: BaseDensity = Gaussian(),
) -> ChainFlow:
    """RQ-NSF (C) of D = num_features; the components that drive a coupling have splines too, of their own."""
    steps = [
        Coupling(conditioner.copy(), transformer, mask, passed=transformer)
        for mask in alternating(num_layers)
    ]
    return _mixed(num_features, steps, mixing, base)


def autoregressive_spline_flow(
    num_features: int,
    num_layers: int = 10,
    conditioner: MADE = MADE(256, 2, residual=True),
    transformer: Transformer = RationalQuadraticSpline(),
    mixing: Mixing = lu,
    base: BaseDensity = Gaussian(),
) -> ChainFlow:
    """RQ-NSF (AR) of D = num_features."""
    steps = [Autoregressive(conditioner.copy(), transformer) for _ in range(num_layers)]
    return _mixed(num_features, steps, mixing, base)


def _mixed(
    num_features: int,
    steps: list[Coupling] | list[Autoregressive],
    mixing: Mixing,
    base: BaseDensity,
) -> ChainFlow:
    layers: list[Bijector] = [ActNorm()]
    for index, step in enumerate(steps):
        layers += [*mixing(index, num_features), step]
    layers += mixing(len(steps), num_features)
    return ChainFlow(num_features=num_features, layers=tuple(layers), base=base)
