"""Fully connected networks, the conditioners of coupling layers."""

from collections.abc import Callable

import flax.linen as nn
import jax

from flows.bijector import check_float, wide_dtype
from flows.initialisers import uniform_by_fan_in, uniform_within


class MLP(nn.Module):
    """`hidden_layers` dense layers of `hidden_units` with ReLU, then a linear layer to the outputs.

    Kernels start uniform on +-1 / sqrt(fan_in), the default of the PyTorch implementations of NICE, biases at zero. Six
    such layers shrink their input about a hundredfold: a coupling starts near the identity. Raises ValueError for an
    input of integers or booleans.
    """

    hidden_layers: int
    hidden_units: int

    @nn.compact
    def __call__(self, x: jax.Array, num_outputs: int) -> jax.Array:
        """(B, num_outputs) from x (B, K), in the dtype of x."""
        check_float('MLP', x)

        def dense(width: int) -> nn.Dense:
            return nn.Dense(
                width,
                kernel_init=uniform_by_fan_in,
                dtype=x.dtype,
                param_dtype=wide_dtype(x),
            )

        h = x
        for _ in range(self.hidden_layers):
            h = nn.relu(dense(self.hidden_units)(h))
        return dense(num_outputs)(h)


class ResidualMLP(nn.Module):
    """A layer and `num_blocks` blocks h + W_2 relu(W_1 relu(h)) on the last axis, features for a `Coupling`.

    Durkan et al. 2019, arXiv:1906.04032, after He et al. 2016, arXiv:1603.05027. W_2 is zero at first.
    """

    width: int = 256
    num_blocks: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., width) from x (..., K)."""
        start = nn.initializers.he_uniform()
        h = nn.Dense(self.width, kernel_init=start)(x)
        for _ in range(self.num_blocks):
            block = nn.relu(nn.Dense(self.width, kernel_init=start)(nn.relu(h)))
            h += nn.Dense(self.width, kernel_init=nn.initializers.zeros)(block)
        return h


class MLPConditioner(nn.Module):
    """Dense layers on the last axis, whose features a `Coupling` turns into parameters.

    Weights and biases start uniform within gain / sqrt(fan_in). With zero biases and a single input, as
    for two features, all units of the first layer would have their kink at 0.

    Attributes:
        hidden: widths of the layers.
        activation: after each of them.
        gain: 1 is PyTorch's start, sqrt(6) that of He et al. 2015, arXiv:1502.01852, for ReLU.
    """

    hidden: tuple[int, ...] = (200, 100)
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    gain: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., hidden[-1]) from x (..., K)."""
        for width in self.hidden:
            start = uniform_within(self.gain * x.shape[-1] ** -0.5)
            x = self.activation(nn.Dense(width, kernel_init=start, bias_init=start)(x))
        return x
