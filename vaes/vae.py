"""Variational autoencoder.

Kingma, Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, with the networks of
Park, Kim, Kim, "Variational Laplace Autoencoders", ICML 2019, arXiv:2211.17267:

    p(z) = N(0, I)      q(z | x) = N(mu(x), diag sigma^2(x))
    p(x | z) = N(f(z), s^2 I), s^2 one learnt number, or Bernoulli(sigmoid(f(z)))
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from flows import keys as example_keys
from flows.choice import choose
from flows.model import Terms
from vaes import mlp
from vaes.distributions import BernoulliLikelihood, DiagonalGaussian, GaussianLikelihood, Likelihood
from vaes.latent_variable_model import REFINEMENT, LatentVariableModel
from vaes.posterior import Posterior

OUTPUT_DISTRIBUTIONS = ('gaussian', 'bernoulli')
SMALLEST_VARIANCE = 1e-6  # of the output at the start, should the examples be constant


class VAE(LatentVariableModel, kw_only=True):
    """Networks, prior and likelihood of the five models; the posterior is the encoder's Gaussian.

    Attributes:
        num_features: D, the length of x.
        z_dim: k, the length of z.
        hidden_dim: width of the two hidden layers of encoder and decoder.
        output_dist: 'gaussian' or 'bernoulli'.
        initialisation: 'unit_variance' or 'published'; see `vaes.mlp`.
        custom_decoder: a Linen module (n, z_dim) -> (n, num_features) instead of the ReLU network;
            it returns the Gaussian's mean or the Bernoulli's logits.
    """

    num_features: int
    z_dim: int = 50
    hidden_dim: int = 500
    output_dist: str = 'gaussian'
    initialisation: str = 'unit_variance'
    custom_decoder: nn.Module | None = None

    def __post_init__(self) -> None:
        choose('output_dist', self.output_dist, OUTPUT_DISTRIBUTIONS)
        super().__post_init__()

    def setup(self) -> None:
        self.encoder = mlp.Encoder(self.hidden_dim, self.initialisation)
        self.mean_head = mlp.linear(self.z_dim, self.hidden_dim, self.initialisation)
        # A subclass that never calls this layer has no parameters for it.
        self.log_variance_head = mlp.log_variance_head(
            self.z_dim, self.hidden_dim, self.initialisation
        )
        self.decoder: nn.Module
        if self.custom_decoder is None:
            self.decoder = mlp.Decoder(
                self.num_features, self.z_dim, self.hidden_dim, self.initialisation
            )
        else:
            self.decoder = self.custom_decoder
        if self.output_dist == 'gaussian':
            self.output = OutputVariance()

    def features(self, x: jax.Array) -> jax.Array:
        """The encoder's last hidden layer, (B, hidden_dim)."""
        if x.shape[-1] != self.num_features:
            raise ValueError(
                f'x must have num_features = {self.num_features} columns; got shape {x.shape}; '
                f'set num_features to {x.shape[-1]}.'
            )
        return self.encoder(x)

    def encode(self, features: jax.Array) -> DiagonalGaussian:
        """The diagonal Gaussian that the encoder proposes."""
        return DiagonalGaussian(self.mean_head(features), self.log_variance_head(features))

    def posterior(self, x: jax.Array, keys: jax.Array) -> Posterior:
        """q(z | x), a `Posterior`; x (B, D), keys (B,)."""
        del keys
        q = self.encode(self.features(x))
        return Posterior(q, trace=q.mean[None])

    def reconstruct_trace(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """E[x | z] at the posterior's mean before and after each refinement step, (T + 1, B, D)."""
        trace = self.posterior(x, example_keys.fold_in(keys, REFINEMENT)).trace
        means = self.decode_mean(trace.reshape(-1, trace.shape[-1]))
        return means.reshape(*trace.shape[:2], -1)

    def bound_terms(self, x: jax.Array, keys: jax.Array, training: bool = False) -> Terms:
        if self.is_initializing():
            self.initialise(x)
        return super().bound_terms(x, keys, training)

    def initialise(self, x: jax.Array) -> None:
        """Create what starts from the data x, and what a refinement only uses unbound."""
        if self.output_dist == 'gaussian':
            self.output(x)
        self.decoder(jnp.zeros((1, self.z_dim), x.dtype))

    def sample_prior(self, key: jax.Array, n: int) -> jax.Array:
        """z ~ N(0, I), (n, z_dim)."""
        return jax.random.normal(key, (n, self.z_dim))

    def decode(self, z: jax.Array) -> jax.Array:
        """f(z), the mean or the logits of x: (n, z_dim) -> (n, D)."""
        return self.decoder(z)

    def unbound_decoder(self) -> tuple[Any, Any]:
        return self.decoder.unbind()

    def likelihood(self) -> Likelihood:
        """p(x | f)."""
        if self.output_dist == 'gaussian':
            return GaussianLikelihood(self.output())
        return BernoulliLikelihood()


class OutputVariance(nn.Module):
    """The output's one log-variance, (); starts as that of the data about their mean."""

    @nn.compact
    def __call__(self, x: jax.Array | None = None) -> jax.Array:
        if x is None:
            return self.get_variable('params', 'log_variance')
        variance = jnp.mean((x - jnp.mean(x, axis=0, keepdims=True)) ** 2)
        start = jnp.log(jnp.maximum(variance, SMALLEST_VARIANCE))
        return self.param('log_variance', lambda key: start)
