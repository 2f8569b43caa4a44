"""Masked autoregressive flow.

Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", 2017, arXiv:1705.07057. L times

    z_d = (x_d - mu_d(x_1, ..., x_{d-1})) exp(-alpha_d(x_1, ..., x_{d-1})),

with other orders of the components in between. Published with batch norm between the layers, whose statistics are those
of the whole training set at test time; here the layers are parted by ActNorm, trained like any other parameters.
"""

from flows.actnorm import ActNorm
from flows.autoregressive.autoregressive import Autoregressive
from flows.autoregressive.made import MADE
from flows.base_densities import BaseDensity, Gaussian
from flows.bijector import Bijector
from flows.chain_flow import ChainFlow
from flows.elementwise.transformers import Affine, Transformer
from flows.mixing import Mixing, reversal


def maf(
    num_features: int,
    num_layers: int = 5,
    conditioner: MADE = MADE(),
    transformer: Transformer = Affine(),
    mixing: Mixing = reversal,
    base: BaseDensity = Gaussian(),
) -> ChainFlow:
    """MAF(num_layers) of D = num_features; MADE is MAF(1).

    base: with a `MixtureMADE` it is MAF MoG, and with no layers MADE MoG.
    """
    layers: list[Bijector] = [ActNorm()]
    for index in range(num_layers):
        if index:
            layers += [*mixing(index, num_features), ActNorm()]
        layers.append(Autoregressive(conditioner.copy(), transformer))
    return ChainFlow(num_features=num_features, layers=tuple(layers), base=base)
