"""The ReLU networks that the variational Laplace autoencoder and its rivals share.

Weights are Kaiming-uniform in 'fan_out' mode, which keeps the variance of the backward signal:
bound = gain sqrt(3 / fan_out). A network of two ReLU layers and a linear one keeps it with
gain = (sqrt(2) sqrt(2) 1)^(1/3) = 2^(1/3). The published code passes that number as the slope of a
leaky ReLU instead, which makes the gain sqrt(2 / (1 + 2^(2/3))) = 0.879.
Biases are uniform within 1 / sqrt(fan_in).
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

GAINS = {
    'variance_preserving': 2.0 ** (1.0 / 3.0),
    'published': (2.0 / (1.0 + 2.0 ** (2.0 / 3.0))) ** 0.5,
}


def kaiming_uniform(initialisation):
    """Weight initialiser by the name of its gain, a key of GAINS."""
    if initialisation not in GAINS:
        known = ', '.join(sorted(GAINS))
        raise ValueError(f'initialisation must be one of {known}; got {initialisation!r}.')
    return nn.initializers.variance_scaling(GAINS[initialisation] ** 2, 'fan_out', 'uniform')


def linear(features, fan_in, initialisation, name=None):
    """A dense layer of `features` outputs for `fan_in` inputs, initialised as said above."""
    bound = fan_in**-0.5

    def uniform(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nn.Dense(
        features, kernel_init=kaiming_uniform(initialisation), bias_init=uniform, name=name
    )


class Encoder(nn.Module):
    """Two hidden ReLU layers: x (..., D) -> features e (..., hidden_dim)."""

    hidden_dim: int
    initialisation: str

    @nn.compact
    def __call__(self, x):
        e = x
        for name in ('hidden_1', 'hidden_2'):
            e = nn.relu(linear(self.hidden_dim, e.shape[-1], self.initialisation, name)(e))
        return e


class Decoder(nn.Module):
    """Two hidden ReLU layers and a linear one: z (..., z_dim) -> f (..., num_features)."""

    num_features: int
    z_dim: int
    hidden_dim: int
    initialisation: str

    def setup(self):
        self.hidden_1 = linear(self.hidden_dim, self.z_dim, self.initialisation)
        self.hidden_2 = linear(self.hidden_dim, self.hidden_dim, self.initialisation)
        self.output = linear(self.num_features, self.hidden_dim, self.initialisation)

    def __call__(self, z):
        return self.output(nn.relu(self.hidden_2(nn.relu(self.hidden_1(z)))))

    def tangents(self, z):
        """Value and factored Jacobian of a piecewise linear network.

        With masks m = 1[h > 0], df/dz^T = (W_1 diag(m_1)) W_2 diag(m_2) W_3, W being (in, out).

        Args:
          z: (B, z_dim).

        Returns:
          f (B, num_features) and the last hidden layer's derivative dh_2/dz^T (B, z_dim, hidden_dim),
          so that df/dz^T is their product with `output_kernel()`.
        """
        h_1 = nn.relu(self.hidden_1(z))
        h_2 = nn.relu(self.hidden_2(h_1))
        first = _kernel(self.hidden_1)[None] * (h_1 > 0)[:, None]
        second = (first @ _kernel(self.hidden_2)) * (h_2 > 0)[:, None]
        return self.output(h_2), second

    def output_kernel(self):
        """W_3, (hidden_dim, num_features)."""
        return _kernel(self.output)


def _kernel(layer):
    return layer.variables['params']['kernel']
