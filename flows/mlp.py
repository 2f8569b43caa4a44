"""Fully connected network with ReLU, the conditioner of coupling layers."""

import flax.linen as nn
import jax

from flows.bijector import check_float, wide_dtype


def small_uniform(key, shape, dtype):
    """U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), the default of the PyTorch implementations of NICE.

    Six such layers shrink their input about a hundredfold: a coupling starts near the identity.
    """
    bound = max(shape[0], 1) ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class MLP(nn.Module):
    """`hidden_layers` dense layers of `hidden_units` with ReLU, then a linear layer to the outputs.

    Kernels start uniform on +-1 / sqrt(fan_in), biases at zero. Raises ValueError for an input of
    integers or booleans.
    """

    hidden_layers: int
    hidden_units: int

    @nn.compact
    def __call__(self, x, num_outputs):
        """(B, num_outputs) from x (B, K), in the dtype of x."""
        check_float('MLP', x)

        def dense(width):
            dtypes = {'dtype': x.dtype, 'param_dtype': wide_dtype(x)}
            return nn.Dense(width, kernel_init=small_uniform, **dtypes)

        h = x
        for _ in range(self.hidden_layers):
            h = nn.relu(dense(self.hidden_units)(h))
        return dense(num_outputs)(h)
