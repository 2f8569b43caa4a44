"""The variational autoencoder of the convergence study.

Kingma, Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114.

    q(z | x) = N(mu(x), diag exp(l(x))),   p(z) = N(0, I)
    p(x | z) = Bernoulli(sigmoid(f(z))) or N(m(z), diag s(z)^2)

Stacks of dense layers, ReLU in the encoder and tanh in the decoder; Xavier normal weights, zero
biases. The log-variance l takes either sign (the published code lets it be positive only, so that
z says little of x), and for vectors m is linear and s positive without an upper limit (the
published one squeezes both into (0, 1)). Parameters as published: 1,162,000 with the default
fields, 68,620 for two features with hidden (128, 128, 128), latent_dim 4 and a Gaussian output.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from vaes.distributions import (
    BernoulliLikelihood,
    DiagonalGaussian,
    Likelihood,
    gaussian_log_prob,
)
from vaes.latent_variable_model import LatentVariableModel
from vaes.posterior import Posterior

LOG_VARIANCE_BOUND = 10.0
MIN_STD = 1e-3


@struct.dataclass
class IndependentGaussian:
    """x_d ~ N(m_d, s_d^2) with the decoder's output f = [m, a] and s = MIN_STD + softplus(a)."""

    outputs_per_feature: ClassVar[int] = 2

    def log_prob(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """log p(x | f): x (..., D), f (..., 2 D) -> (...)."""
        mean, std = self._mean_and_std(f)
        return gaussian_log_prob(x, mean, 2 * jnp.log(std))

    def mean(self, f: jax.Array) -> jax.Array:
        """E[x | f], (..., D) from f (..., 2 D)."""
        return self._mean_and_std(f)[0]

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        """x ~ p(x | f), (..., D) from f (..., 2 D) and one key."""
        mean, std = self._mean_and_std(f)
        return mean + std * jax.random.normal(key, mean.shape, mean.dtype)

    def score(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """d log p(x | f) / df, (..., 2 D) for x (..., D)."""
        mean, std = self._mean_and_std(f)
        by_std = ((x - mean) ** 2 / std**2 - 1.0) / std
        return jnp.concatenate([(x - mean) / std**2, by_std * self._slope(f)], axis=-1)

    def curvature(self, f: jax.Array) -> jax.Array:
        """E[-d^2 log p(x | f) / df^2] over x ~ p(x | f), which is diagonal and positive, (..., 2 D)."""
        _, std = self._mean_and_std(f)
        return jnp.concatenate([1.0 / std**2, 2.0 * (self._slope(f) / std) ** 2], axis=-1)

    @staticmethod
    def _slope(f: jax.Array) -> jax.Array:
        """ds/da, (..., D)."""
        return nn.sigmoid(jnp.split(f, 2, axis=-1)[1])

    @staticmethod
    def _mean_and_std(f: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, a = jnp.split(f, 2, axis=-1)
        return mean, MIN_STD + nn.softplus(a)


def dense(width: int) -> nn.Dense:
    """A dense layer, Xavier normal weights and zero bias."""
    return nn.Dense(width, kernel_init=nn.initializers.xavier_normal())


class GaussianHead(nn.Module):
    """Mean and log-variance, two linear maps; the latter stays within +-LOG_VARIANCE_BOUND."""

    latent_dim: int

    @nn.compact
    def __call__(self, h: jax.Array) -> DiagonalGaussian:
        mean, a = dense(self.latent_dim)(h), dense(self.latent_dim)(h)
        return DiagonalGaussian(mean, LOG_VARIANCE_BOUND * jnp.tanh(a / LOG_VARIANCE_BOUND))


class ConvergenceVAE(LatentVariableModel, kw_only=True):
    """Multilayer perceptrons as encoder and decoder.

    Attributes:
        num_features: D.
        hidden: widths of the encoder's layers; the decoder has them in reverse order.
        latent_dim: size of z.
        output: p(x | f), `BernoulliLikelihood()` for x in [0, 1], `IndependentGaussian()` for real vectors.
        kl, kl_warmup_steps: see `LatentVariableModel`.
    """

    num_features: int = 784
    hidden: tuple[int, ...] = (512, 256, 128, 64)
    latent_dim: int = 64
    output: Likelihood = BernoulliLikelihood()
    kl: str = 'analytic'

    def setup(self) -> None:
        self.encoder = [dense(width) for width in self.hidden]
        self.head = GaussianHead(self.latent_dim)
        self.decoder = [dense(width) for width in reversed(self.hidden)]
        self.decoder_output = dense(self.output.outputs_per_feature * self.num_features)

    def posterior(self, x: jax.Array, keys: jax.Array) -> Posterior:
        """q(z | x); keys are not needed."""
        del keys
        for layer in self.encoder:
            x = nn.relu(layer(x))
        q = self.head(x)
        return Posterior(q, q.mean[None])

    def sample_prior(self, key: jax.Array, n: int) -> jax.Array:
        """n draws z ~ N(0, I), (n, latent_dim)."""
        return jax.random.normal(key, (n, self.latent_dim))

    def decode(self, z: jax.Array) -> jax.Array:
        """z (n, latent_dim) -> the likelihood's parameters f."""
        for layer in self.decoder:
            z = nn.tanh(layer(z))
        return self.decoder_output(z)

    def likelihood(self) -> Likelihood:
        """p(x | f)."""
        return self.output
