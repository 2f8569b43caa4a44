"""The parts of models that config fields name."""

from collections.abc import Callable

from flows import (
    ELU,
    Gaussian,
    HalfMask,
    LeakyTanh,
    Logistic,
    Reverse,
    SmoothLeakyReLU,
    Softplus,
    alternating,
)
from flows.activations import Activation
from flows.base_densities import BaseDensity
from flows.bijector import Bijector
from flows.masks import Mask

# config.nonlinearity -> the activation for config.alpha, which, as in the published flags, two of them have.
ACTIVATIONS: dict[str, Callable[[float], Activation]] = {
    'smooth_leaky_relu': SmoothLeakyReLU,
    'leaky_tanh': lambda alpha: LeakyTanh(),
    'elu': ELU,
    'softplus': lambda alpha: Softplus(),
}

# config.prior
BASE_DENSITIES: dict[str, BaseDensity] = {'gaussian': Gaussian(), 'logistic': Logistic()}


def _odd_first(number: int) -> tuple[tuple[Mask, ...], Bijector | None]:
    """Counting from one as the paper does, the odd components drive first, then by turns."""
    return alternating(number, first=0), None


def _even_first(number: int) -> tuple[tuple[Mask, ...], Bijector | None]:
    """Counting from one, the even components drive first, then by turns."""
    return alternating(number, first=1), None


def _halves(number: int) -> tuple[tuple[Mask, ...], Bijector | None]:
    """As the authors' code: the first half drives the second, then the order is reversed."""
    return (HalfMask(),) * number, Reverse()


# config.partition -> the masks of so many couplings, and what comes after each.
PARTITIONS = {'odd_first': _odd_first, 'even_first': _even_first, 'halves': _halves}
