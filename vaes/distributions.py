"""Densities of latent-variable models: Gaussians over z, and what a decoder's output means for x.

Distributions over z are frozen pytrees with a batch axis B and two methods, `sample_and_log_prob`
and `kl_to_standard_normal`. Likelihoods p(x | f), f being what the decoder returns, are frozen
pytrees too; they also give the first two derivatives of log p(x | f) in f, from which a Laplace
approximation is built. Every log-density is summed over the last axis.
"""

from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from flows import keys as example_keys
from flows.base_densities import LOG_2_PI


def gaussian_log_prob(z: jax.Array, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """log N(z; mean, diag exp(log_variance)): arrays of one shape (..., k) -> (...)."""
    squares = (z - mean) ** 2 * jnp.exp(-log_variance)
    return -0.5 * jnp.sum(LOG_2_PI + log_variance + squares, axis=-1)


def diagonal_kl(
    mean: jax.Array,
    log_variance: jax.Array,
    prior_mean: jax.Array | None = None,
    prior_log_variance: jax.Array | None = None,
) -> jax.Array:
    """KL(N(mean, diag) || prior), a diagonal Gaussian, N(0, I) unless given: (..., k) -> (...)."""
    if prior_mean is None or prior_log_variance is None:
        prior_mean = jnp.zeros_like(mean)
        prior_log_variance = jnp.zeros_like(log_variance)
    log_ratio = log_variance - prior_log_variance
    squares = (mean - prior_mean) ** 2 * jnp.exp(-prior_log_variance)
    return 0.5 * jnp.sum(jnp.exp(log_ratio) + squares - 1.0 - log_ratio, axis=-1)


def bernoulli_log_prob(x: jax.Array, logits: jax.Array) -> jax.Array:
    """Sum of x log p + (1 - x) log(1 - p), p = sigmoid(logits), by softplus: (..., D) -> (...)."""
    return jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)


def draw_noise(keys: jax.Array, shape: tuple[int, ...], like: jax.Array) -> jax.Array:
    """Standard normal noise (*shape, B, k) for `like` (B, k); example i's from keys[i] alone."""
    noise = example_keys.normal(keys, (*shape, like.shape[-1]), like.dtype)
    return jnp.moveaxis(noise, 0, len(shape))


def along(shape: tuple[int, ...], array: jax.Array) -> jax.Array:
    """`array` with a leading axis of length 1 for each axis of `shape`."""
    return array.reshape((1,) * len(shape) + array.shape)


class Proposal(Protocol):
    """A density of z for each example of a batch."""

    def sample_and_log_prob(
        self, keys: jax.Array, shape: tuple[int, ...] = ()
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z (*shape, B, k) and log q(z) (*shape, B), from `keys` (B,)."""
        ...


class LatentDistribution(Proposal, Protocol):
    """A proposal that may know its KL from the prior in closed form."""

    def kl_to_standard_normal(self) -> jax.Array | None:
        """KL(q || N(0, I)), (B,), or None where it has no closed form."""
        ...


class Likelihood(Protocol):
    """p(x | f), f being what the decoder returns."""

    @property
    def outputs_per_feature(self) -> int:
        """How many numbers of f belong to one x_d."""
        ...

    def log_prob(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """log p(x | f), (...), for x (..., D)."""
        ...

    def mean(self, f: jax.Array) -> jax.Array:
        """E[x | f], (..., D)."""
        ...

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        """x ~ p(x | f), (..., D), from one key."""
        ...

    def score(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """d log p(x | f) / df, of the shape of f."""
        ...

    def curvature(self, f: jax.Array) -> jax.Array:
        """E[-d^2 log p(x | f) / df^2], diagonal, of the shape of f, or () where it is one number."""
        ...


@struct.dataclass
class DiagonalGaussian:
    """N(mean, diag exp(log_variance)); both (B, k)."""

    mean: jax.Array
    log_variance: jax.Array

    def sample_and_log_prob(
        self, keys: jax.Array, shape: tuple[int, ...] = ()
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z (*shape, B, k) and log q(z) (*shape, B), from `keys` (B,)."""
        noise = draw_noise(keys, shape, self.mean)
        mean, log_variance = along(shape, self.mean), along(shape, self.log_variance)
        z = mean + jnp.exp(0.5 * log_variance) * noise
        return z, -0.5 * jnp.sum(LOG_2_PI + log_variance + noise**2, axis=-1)

    def kl_to_standard_normal(self) -> jax.Array:
        """KL(q || N(0, I)), (B,)."""
        return diagonal_kl(self.mean, self.log_variance)


@struct.dataclass
class FullGaussian:
    """N(mean, P^-1) from the inverse Cholesky factor R of its precision, P^-1 = R^T R.

    mean (B, k), inverse_cholesky (B, k, k) = R, lower; see `vaes.cholesky`. z = mean + R^T noise, so that
    drawing needs neither the covariance nor another factorisation. Draws and density have the same R, so that
    importance weights are right whatever R's rounding errors are.
    """

    mean: jax.Array
    inverse_cholesky: jax.Array

    def sample_and_log_prob(
        self, keys: jax.Array, shape: tuple[int, ...] = ()
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z (*shape, B, k) and log q(z) (*shape, B), from `keys` (B,)."""
        noise = draw_noise(keys, shape, self.mean)
        deviation = jnp.einsum('...bj,bji->...bi', noise, self.inverse_cholesky)
        log_q = -0.5 * jnp.sum(LOG_2_PI + noise**2, axis=-1)
        return along(shape, self.mean) + deviation, log_q + along(shape, self._half_log_det())

    def kl_to_standard_normal(self) -> jax.Array:
        """KL(q || N(0, I)) = (tr P^-1 + mean^T mean - k + log det P) / 2, (B,)."""
        trace = jnp.sum(self.inverse_cholesky**2, axis=(-2, -1))
        squares = jnp.sum(self.mean**2, axis=-1)
        return 0.5 * (trace + squares - self.mean.shape[-1]) + self._half_log_det()

    def _half_log_det(self) -> jax.Array:
        """log det P / 2, (B,)."""
        return -jnp.sum(jnp.log(jnp.diagonal(self.inverse_cholesky, axis1=-2, axis2=-1)), axis=-1)


@struct.dataclass
class GaussianLikelihood:
    """x ~ N(f, exp(log_variance) I), with one log-variance () for every pixel and every example."""

    log_variance: jax.Array
    outputs_per_feature: ClassVar[int] = 1

    def log_prob(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """log p(x | f): (..., D) -> (...)."""
        return gaussian_log_prob(x, f, jnp.full_like(f, self.log_variance))

    def mean(self, f: jax.Array) -> jax.Array:
        """E[x | f], of the shape of f."""
        return f

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        """x ~ p(x | f), of the shape of f, from one key."""
        noise = jax.random.normal(key, f.shape, f.dtype)
        return f + jnp.exp(0.5 * self.log_variance) * noise

    def score(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """d log p(x | f) / df, of the shape of f."""
        return (x - f) * jnp.exp(-self.log_variance)

    def curvature(self, f: jax.Array) -> jax.Array:
        """-d^2 log p(x | f) / df^2, the same for all outputs: a scalar ()."""
        del f
        return jnp.exp(-self.log_variance)


@struct.dataclass
class BernoulliLikelihood:
    """x in {0, 1} (or [0, 1]) with P(x = 1) = sigmoid(f); always computed from the logits f."""

    outputs_per_feature: ClassVar[int] = 1

    def log_prob(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """log p(x | f): (..., D) -> (...)."""
        return bernoulli_log_prob(x, f)

    def mean(self, f: jax.Array) -> jax.Array:
        """E[x | f], of the shape of f."""
        return jax.nn.sigmoid(f)

    def sample(self, key: jax.Array, f: jax.Array) -> jax.Array:
        """x ~ p(x | f) in {0, 1}, of the shape and type of f, from one key."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(f)).astype(f.dtype)

    def score(self, x: jax.Array, f: jax.Array) -> jax.Array:
        """d log p(x | f) / df = x - p, of the shape of f."""
        return x - jax.nn.sigmoid(f)

    def curvature(self, f: jax.Array) -> jax.Array:
        """-d^2 log p(x | f) / df^2 = p (1 - p), of the shape of f."""
        return jax.nn.sigmoid(f) * jax.nn.sigmoid(-f)
