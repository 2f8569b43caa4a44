"""The parts of models that config fields name."""

from collections.abc import Callable
from typing import Any

from flows import (
    ELU,
    Gaussian,
    HalfMask,
    HyperbolicSecant,
    LeakyTanh,
    Logistic,
    Reverse,
    SmoothLeakyReLU,
    Softplus,
    SplineActivation,
    alternating,
)
from flows.base_densities import BaseDensity
from flows.bijector import Bijector
from flows.coupling.masks import Mask
from flows.elementwise.activations import Activation
from flows.mixing import Mixing, lu, none, permutation, relative, reversal


def _spline(config: Any) -> SplineActivation:
    """Starts as what makes its rows normal, or as the smooth leaky ReLU of config.alpha; of 1, that is the identity."""
    own = config.mlp_flow
    start = None if own.gaussianise else SmoothLeakyReLU(config.alpha)
    return SplineActivation(own.num_bins, own.reach, start, own.gaussianise)


# config.nonlinearity -> the activation of a config; config.alpha is a parameter of three of them.
ACTIVATIONS: dict[str, Callable[[Any], Activation]] = {
    'smooth_leaky_relu': lambda config: SmoothLeakyReLU(config.alpha),
    'leaky_tanh': lambda config: LeakyTanh(),
    'elu': lambda config: ELU(config.alpha),
    'softplus': lambda config: Softplus(),
    'spline': _spline,
}

# config.prior
BASE_DENSITIES: dict[str, BaseDensity] = {
    'gaussian': Gaussian(),
    'logistic': Logistic(),
    'hyperbolic_secant': HyperbolicSecant(),
}


def _odd_first(number: int) -> tuple[tuple[Mask, ...], Bijector | None]:
    """Counting from one as the paper does, the odd components drive first, then by turns."""
    return alternating(number, first=0), None


def _even_first(number: int) -> tuple[tuple[Mask, ...], Bijector | None]:
    """Counting from one, the even components drive first, then by turns."""
    return alternating(number, first=1), None


def _halves(number: int) -> tuple[tuple[Mask, ...], Bijector | None]:
    """As the authors' code: the first half drives the second, then the order is reversed."""
    return (HalfMask(),) * number, Reverse()


# config.<model>.mixing
MIXINGS: dict[str, Mixing] = {
    'none': none,
    'reversal': reversal,
    'permutation': permutation,
    'lu': lu,
    'relative': relative,
}

# config.partition -> the masks of so many couplings, and what comes after each.
PARTITIONS = {'odd_first': _odd_first, 'even_first': _even_first, 'halves': _halves}
