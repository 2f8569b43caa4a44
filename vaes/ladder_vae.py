"""Ladder variational autoencoder.

Sonderby, Raiko, Maaloe, Sonderby, Winther, "Ladder variational autoencoders", 2016,
arXiv:1602.02282. With levels 1..L,

    d_0 = x,  d_i = LeakyReLU(BN(Linear(d_{i-1}))),  (mu^_i, v^_i) = head(d_i)
    p(z_L) = N(0, I),           p(z_i | z_{i+1}) = N(mu_i, v_i),
                                (mu_i, v_i) = head(LeakyReLU(BN(Linear(z_{i+1}))))
    q(z_L | x) = N(mu^_L, v^_L),  q(z_i | z_{i+1}, x) = N(m_i, w_i),
                                1/w_i = 1/v^_i + 1/v_i,  m_i = w_i (mu^_i / v^_i + mu_i / v_i)
    ELBO = E_q[ log p(x | z_1) - sum_i log q(z_i | ..) / p(z_i | ..) ]

The sample that goes down to the next level, and from level 1 to the reconstruction, is the
posterior's. (The published code passes a prior sample down; then no head below the top has any
influence on the reconstruction.)

The published study merges the encoder with a second network of z_{i+1} that is not the prior's.
Any such network makes a valid q, so this is there as `separate_merge=True`, and only with it are
the parameters as published: 1,464,464 with the other fields at their defaults, 79,164 for two
features with hidden (128, 128, 128), latent_dims (4, 4, 4) and a Gaussian output. By default q
merges with the prior, as in the paper.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from flows import keys as example_keys
from flows.model import Terms
from vaes.convergence_vae import GaussianHead, dense
from vaes.distributions import (
    BernoulliLikelihood,
    DiagonalGaussian,
    Likelihood,
    diagonal_kl,
    draw_noise,
    gaussian_log_prob,
)
from vaes.latent_variable_model import LATENT, LatentVariableModel


class LadderBlock(nn.Module):
    """Linear, BatchNorm, LeakyReLU; in training with the statistics of all along `axis_name` together."""

    width: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        norm = nn.BatchNorm(
            use_running_average=not training,
            momentum=0.9,
            axis_name=self.axis_name,
            use_fast_variance=False,
        )
        return nn.leaky_relu(norm(dense(self.width)(x)), 0.1)


class LadderStep(nn.Module):
    """From the z above to a Gaussian over the z of this level."""

    width: int
    latent_dim: int
    axis_name: str | None

    @nn.compact
    def __call__(self, z: jax.Array, training: bool) -> DiagonalGaussian:
        block = LadderBlock(self.width, self.axis_name)
        return GaussianHead(self.latent_dim)(block(z, training))


def merge(a: DiagonalGaussian, b: DiagonalGaussian) -> DiagonalGaussian:
    """The normalised product of two diagonal Gaussians: precisions add and weight the means."""
    log_variance = -jnp.logaddexp(-a.log_variance, -b.log_variance)
    mean = a.mean * jnp.exp(log_variance - a.log_variance)
    mean += b.mean * jnp.exp(log_variance - b.log_variance)
    return DiagonalGaussian(mean, log_variance)


class LadderVAE(LatentVariableModel, kw_only=True):
    """Levels of latents, bottom first.

    Attributes:
        num_features: D.
        hidden: width of each level's deterministic layer, and of the reconstruction's layers in
            the same order.
        latent_dims: size of each level's z, as many as hidden.
        output: p(x | f), `BernoulliLikelihood()` for x in [0, 1], `IndependentGaussian()` for real vectors.
        separate_merge: merge the encoder with a network of its own instead of with the prior.
        axis_name: the mapped axis (of `jax.pmap` or `jax.vmap`) along which devices share a batch and
            in training its statistics; None outside of one.
        kl, kl_warmup_steps: see `LatentVariableModel`; 'analytic' is the closed form given the z
            above.
    """

    num_features: int = 784
    hidden: tuple[int, ...] = (512, 256, 256)
    latent_dims: tuple[int, ...] = (64, 64, 64)
    output: Likelihood = BernoulliLikelihood()
    separate_merge: bool = False
    axis_name: str | None = None
    kl: str = 'analytic'

    refinable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(self.hidden) != len(self.latent_dims) or not self.hidden:
            raise ValueError(
                f'hidden and latent_dims must have one entry per level, found {self.hidden} and '
                f'{self.latent_dims}; give both the same length.'
            )
        super().__post_init__()

    def setup(self) -> None:
        below_top = list(zip(self.hidden[:-1], self.latent_dims[:-1], strict=True))
        axis = self.axis_name
        self.blocks = [LadderBlock(width, axis) for width in self.hidden]
        self.heads = [GaussianHead(k) for k in self.latent_dims]
        self.priors = [LadderStep(width, k, axis) for width, k in below_top]
        merges = below_top if self.separate_merge else ()
        self.merges = [LadderStep(width, k, axis) for width, k in merges]
        self.decoder = [dense(width) for width in self.hidden]
        self.decoder_output = dense(self.output.outputs_per_feature * self.num_features)

    def posterior(self, x: jax.Array, keys: jax.Array) -> list[DiagonalGaussian]:
        """The encoder's Gaussians, one per level, bottom first; keys are not needed."""
        del keys
        return self._bottom_up(x, training=False)

    def _bottom_up(self, x: jax.Array, training: bool) -> list[DiagonalGaussian]:
        encoded = []
        for block, head in zip(self.blocks, self.heads, strict=True):
            x = block(x, training)
            encoded.append(head(x))
        return encoded

    def _top_down(
        self,
        encoded: list[DiagonalGaussian],
        keys: jax.Array,
        shape: tuple[int, ...] = (),
        training: bool = False,
    ) -> Iterator[tuple[jax.Array, DiagonalGaussian, DiagonalGaussian]]:
        """Yields (z, q, p) of each level, top first: a draw (*shape, B, k) and its two Gaussians."""
        z: jax.Array | None = None
        for level in reversed(range(len(encoded))):
            head = jax.tree.map(lambda a: jnp.broadcast_to(a, (*shape, *a.shape)), encoded[level])
            if z is None:
                zero = jnp.zeros_like(head.mean)
                q, p = head, DiagonalGaussian(zero, zero)
            else:
                p = self.priors[level](z, training)
                q = merge(head, self.merges[level](z, training) if self.separate_merge else p)
            noise = draw_noise(example_keys.fold_in(keys, level), shape, q.mean)
            z = q.mean + jnp.exp(0.5 * q.log_variance) * noise
            yield z, q, p

    def bound_terms(self, x: jax.Array, keys: jax.Array, training: bool = False) -> Terms:
        """'reconstruction_error', 'kl' and each level's 'kl_1' .. 'kl_L' of one draw, (B,)."""
        keys = example_keys.fold_in(keys, LATENT)
        terms: Terms = {}
        kl: Any = 0.0
        encoded = self._bottom_up(x, training)
        for i, (z, q, p) in enumerate(self._top_down(encoded, keys, training=training)):
            if self.kl == 'analytic':
                term = diagonal_kl(q.mean, q.log_variance, p.mean, p.log_variance)
            else:
                term = _log_ratio(z, q, p)
            terms[f'kl_{len(encoded) - i}'] = term
            kl += term
        error = -self.likelihood().log_prob(x, self.decode(z))
        return {'reconstruction_error': error, 'kl': kl, **terms}

    def log_weights(
        self, x: jax.Array, posterior: list[DiagonalGaussian], keys: jax.Array, num_samples: int
    ) -> jax.Array:
        """log p(x, z) - log q(z | x) of `num_samples` draws, (num_samples, B), from `keys` (B,)."""
        log_ratio: Any = 0.0
        for z, q, p in self._top_down(posterior, keys, (num_samples,)):
            log_ratio += _log_ratio(z, q, p)
        return self.likelihood().log_prob(x[None], self.decode(z)) - log_ratio

    def sample_prior(self, key: jax.Array, n: int) -> jax.Array:
        """n draws of z_1 from the prior of all levels, (n, latent_dims[0])."""
        keys = jax.random.split(key, len(self.latent_dims))
        z = jax.random.normal(keys[-1], (n, self.latent_dims[-1]))
        for level in reversed(range(len(self.priors))):
            p = self.priors[level](z, False)
            noise = jax.random.normal(keys[level], p.mean.shape)
            z = p.mean + jnp.exp(0.5 * p.log_variance) * noise
        return z

    def reconstruct(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """E[x | z_1], (B, D), at one draw of all levels."""
        encoded = self._bottom_up(x, training=False)
        draws = self._top_down(encoded, example_keys.fold_in(keys, LATENT))
        return self.decode_mean([z for z, _, _ in draws][-1])

    def decode(self, z: jax.Array) -> jax.Array:
        """z_1 (..., latent_dims[0]) -> the likelihood's parameters f."""
        for layer in self.decoder:
            z = nn.relu(layer(z))
        return self.decoder_output(z)

    def likelihood(self) -> Likelihood:
        """p(x | f)."""
        return self.output


def _log_ratio(z: jax.Array, q: DiagonalGaussian, p: DiagonalGaussian) -> jax.Array:
    """log q(z) - log p(z) along the last axis."""
    return gaussian_log_prob(z, q.mean, q.log_variance) - gaussian_log_prob(
        z, p.mean, p.log_variance
    )
