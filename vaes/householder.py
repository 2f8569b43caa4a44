"""Householder flow.

Tomczak, Welling, "Improving Variational Auto-Encoders using Householder Flow", 2016,
arXiv:1611.09630. The encoder's diagonal Gaussian is turned by reflections, which keep volume:

    z = H_n ... H_1 z_0      H_i = I - 2 v_i v_i^T / ||v_i||^2      v_1 = W_1 e, v_i = W_i v_{i-1}

Reflections start in pairs along one vector, W_2 = W_4 = .. = I, so that each pair is the identity and the
model starts as the VAE it contains; the last of an odd number has no partner. With
initialisation='published' all W_i start at random, and the posterior is a turned one from the start.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from vaes import mlp
from vaes.distributions import DiagonalGaussian, along
from vaes.posterior import Posterior
from vaes.vae import VAE

SMALLEST_SQUARED_NORM = 1e-12


def reflect(z: jax.Array, v: jax.Array) -> jax.Array:
    """H z for arrays of one rank, (..., k); the identity where v is zero."""
    squared_norm = jnp.sum(v**2, axis=-1, keepdims=True)
    squared_norm = jnp.where(squared_norm > SMALLEST_SQUARED_NORM, squared_norm, 1.0)
    return z - 2.0 * v * jnp.sum(v * z, axis=-1, keepdims=True) / squared_norm


@struct.dataclass
class HouseholderGaussian:
    """A diagonal Gaussian after reflections along `vectors` (n, B, k), in turn."""

    base: DiagonalGaussian
    vectors: jax.Array

    def sample_and_log_prob(
        self, keys: jax.Array, shape: tuple[int, ...] = ()
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z (*shape, B, k) and log q(z) (*shape, B), from `keys` (B,)."""
        z, log_q = self.base.sample_and_log_prob(keys, shape)
        for v in self.vectors:
            z = reflect(z, along(shape, v))
        return z, log_q

    def kl_to_standard_normal(self) -> jax.Array:
        """KL(q || N(0, I)), (B,): that of the base, as N(0, I) does not change when turned."""
        return self.base.kl_to_standard_normal()


def _identity(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    del key
    return jnp.eye(shape[0], shape[1], dtype=dtype)


class HouseholderVAE(VAE, kw_only=True):
    """VAE whose posterior passes `n_flow` Householder reflections."""

    n_flow: int = 4

    def setup(self) -> None:
        super().setup()
        self.vector_layers = [self._vector_layer(index) for index in range(self.n_flow)]

    def _vector_layer(self, index: int) -> nn.Dense:
        """W_{index + 1}; that of the second reflection of a pair starts as the identity."""
        if index % 2 and self.initialisation != 'published':
            return nn.Dense(self.z_dim, kernel_init=_identity)
        fan_in = self.z_dim if index else self.hidden_dim
        return mlp.linear(self.z_dim, fan_in, self.initialisation)

    def posterior(self, x: jax.Array, keys: jax.Array) -> Posterior:
        """q(z | x), a `Posterior`; x (B, D), keys (B,)."""
        del keys
        features = self.features(x)
        base = self.encode(features)
        vectors, v = [], features
        for layer in self.vector_layers:
            v = layer(v)
            vectors.append(v)
        stacked = jnp.stack(vectors) if vectors else jnp.zeros((0, *base.mean.shape), x.dtype)
        mean = base.mean
        for v in vectors:
            mean = reflect(mean, v)
        return Posterior(HouseholderGaussian(base, stacked), trace=mean[None])
