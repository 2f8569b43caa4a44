"""The ReLU networks that the variational Laplace autoencoder and its rivals share, and how they start.

Weights are Kaiming-uniform, bound = sqrt(3 scale / fan), and biases uniform within 1 / sqrt(fan_in).

unit_variance  keeps the variance of the signal on its way into the posterior: fan_in, with scale 2 before a ReLU and 1
               without. So q starts near the data's scale, whatever their dimension. The log-variance head starts at
               zero, as sigma^2 is exponential in it: q starts with variance 1. The decoder keeps the variance of the
               backward signal: fan_out, gain (sqrt(2) sqrt(2) 1)^(1/3) = 2^(1/3) for two ReLU layers and a linear one.
published      has fan_out everywhere. The published code passes 2^(1/3) as the slope of a leaky ReLU, which makes the
               gain sqrt(2 / (1 + 2^(2/3))) = 0.879. KL(q || p) then grows with the norm of an image: 186 nats on
               MNIST's centred logits, 41,000 on uniform noise of 3,072 dimensions.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from flows.choice import choose
from flows.initialisers import uniform_within

# Scale and mode of the weights, by the place of a layer: before a ReLU or alone on the way to q, or in the decoder.
WEIGHTS = {
    'unit_variance': {
        'relu': (2.0, 'fan_in'),
        'linear': (1.0, 'fan_in'),
        'decoder': (2.0 ** (2.0 / 3.0), 'fan_out'),
    },
    'published': dict.fromkeys(
        ('relu', 'linear', 'decoder'), (2.0 / (1.0 + 2.0 ** (2.0 / 3.0)), 'fan_out')
    ),
}


def kaiming_uniform(initialisation: str, place: str = 'linear') -> nn.initializers.Initializer:
    """Weight initialiser for a `place` of WEIGHTS[initialisation]; an unknown name raises a ValueError."""
    scale, mode = choose('initialisation', initialisation, WEIGHTS)[place]
    return nn.initializers.variance_scaling(scale, mode, 'uniform')


def linear(
    features: int, fan_in: int, initialisation: str, place: str = 'linear', name: str | None = None
) -> nn.Dense:
    """A dense layer of `features` outputs for `fan_in` inputs, initialised as said above."""
    kernel_init = kaiming_uniform(initialisation, place)
    bias_init = uniform_within(fan_in**-0.5)
    return nn.Dense(features, kernel_init=kernel_init, bias_init=bias_init, name=name)


def log_variance_head(z_dim: int, hidden_dim: int, initialisation: str) -> nn.Dense:
    """The layer (..., hidden_dim) -> (..., z_dim) of log sigma^2."""
    if initialisation == 'unit_variance':
        return nn.Dense(z_dim, kernel_init=nn.initializers.zeros)
    return linear(z_dim, hidden_dim, initialisation)


Pieces = tuple[jax.Array, jax.Array]


class Encoder(nn.Module):
    """Two hidden ReLU layers: x (..., D) -> features e (..., hidden_dim)."""

    hidden_dim: int
    initialisation: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        e = x
        for name in ('hidden_1', 'hidden_2'):
            layer = linear(self.hidden_dim, e.shape[-1], self.initialisation, 'relu', name)
            e = nn.relu(layer(e))
        return e


class Decoder(nn.Module):
    """Two hidden ReLU layers and a linear one: z (..., z_dim) -> f (..., num_features)."""

    num_features: int
    z_dim: int
    hidden_dim: int
    initialisation: str

    def setup(self) -> None:
        self.hidden_1 = linear(self.hidden_dim, self.z_dim, self.initialisation, 'decoder')
        self.hidden_2 = linear(self.hidden_dim, self.hidden_dim, self.initialisation, 'decoder')
        self.output = linear(self.num_features, self.hidden_dim, self.initialisation, 'decoder')

    def __call__(self, z: jax.Array) -> jax.Array:
        return self.output(nn.relu(self.hidden_2(nn.relu(self.hidden_1(z)))))

    def pieces(self, z: jax.Array) -> Pieces:
        """Which hidden units are on at z (B, z_dim): m = 1[h > 0] of both layers, (B, hidden_dim)."""
        h_1 = self.hidden_1(z)
        h_2 = self.hidden_2(jnp.where(h_1 > 0, h_1, 0.0))
        return h_1 > 0, h_2 > 0

    def last_hidden(self, z: jax.Array, on: Pieces) -> jax.Array:
        """h_2 (B, hidden_dim) at z (B, z_dim) of the affine network whose units `on` are on."""
        h_1 = jnp.where(on[0], self.hidden_1(z), 0.0)
        return jnp.where(on[1], self.hidden_2(h_1), 0.0)

    def tangents(self, on: Pieces) -> jax.Array:
        """T = (W_1 diag(m_1)) W_2 diag(m_2), dh_2/dz^T of such a network: (B, z_dim, hidden_dim).

        df/dz^T is its product with W_3, W being (in, out).
        """
        first = _kernel(self.hidden_1)[None] * on[0][:, None]
        return (first @ _kernel(self.hidden_2)) * on[1][:, None]

    def output_weights(self) -> tuple[jax.Array, jax.Array]:
        """W_3 (hidden_dim, num_features) and its bias (num_features,)."""
        params = self.output.variables['params']
        return params['kernel'], params['bias']


def _kernel(layer: nn.Dense) -> jax.Array:
    return layer.variables['params']['kernel']
