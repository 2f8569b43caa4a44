"""An importance proposal made for one example, wherever the model's own posterior is too far from p(z | x) to weigh.

Any density that is positive everywhere gives an unbiased estimate of p(x); the nearer it is to p(z | x), the fewer
draws it needs. From the best of a few draws of the model's posterior, Newton steps with a line search go to a mode of
log p(x, z). There, with g and P the gradient and the precision of `vaes.laplace`, a Gaussian N(m, P^-1) ascends its own
bound by natural gradients, averages over draws z_s of itself standing for expectations:

    P <- (1 - rho_t) P + rho_t mean_s P(z_s)        m <- m + rho_t P^-1 mean_s g(z_s)

Khan, Rue, "The Bayesian learning rule", 2021, arXiv:2107.04562, section 4 (with the Gauss-Newton precision for the
Hessian). A Laplace approximation knows the curvature at one point, which for a piecewise linear decoder is that of one
piece; this knows it over the width of the posterior.

Nine draws of ten come from that Gaussian, the tenth from a Student t about it, whose tails bound the weights:
Hesterberg, "Weighted average importance sampling and defensive mixture distributions", Technometrics 37, 1995.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.scipy.special import gammaln

from flows import keys as example_keys
from flows.base_densities import LOG_2_PI
from vaes import laplace
from vaes.cholesky import inverse_cholesky, solve
from vaes.distributions import along, draw_noise
from vaes.posterior import Posterior

STARTS = 10  # draws of the posterior among which the search starts
NEWTON_STEPS = 15
BOUND_STEPS = 20  # natural gradients, two draws each
FREEDOM = 5  # degrees of freedom of the Student t
EVERY = 10  # one draw in so many is the Student t's


@struct.dataclass
class DefensiveGaussian:
    """0.9 N(mean, P^-1) + 0.1 t(mean, P^-1) from the inverse Cholesky factor R of P, P^-1 = R^T R.

    mean (B, k), inverse_cholesky (B, k, k) = R, lower. z = mean + s R^T noise with s = 1 or, for the t with v degrees
    of freedom, s^2 = v / chi^2_v; the density needs only the length of s noise, so that it belongs to the draws
    whatever R's rounding errors are.
    """

    mean: jax.Array
    inverse_cholesky: jax.Array

    def sample_and_log_prob(
        self, keys: jax.Array, shape: tuple[int, ...] = ()
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z (*shape, B, k) and log q(z) (*shape, B), from `keys` (B,).

        Every tenth draw is the Student t's, counted from a random one of the first ten: each draw by itself has the
        density of the mixture, and ten together have its proportions.
        """
        k = self.mean.shape[-1]
        like = jnp.zeros((len(self.mean), k + FREEDOM), self.mean.dtype)
        noise = draw_noise(keys, shape, like)
        noise, chi = noise[..., :k], noise[..., k:]
        wide = self._is_wide(keys, shape)
        scale = jnp.where(wide, jnp.sqrt(FREEDOM / jnp.sum(chi**2, axis=-1)), 1.0)
        noise = scale[..., None] * noise
        deviation = jnp.einsum('...bj,bji->...bi', noise, self.inverse_cholesky)
        diagonal = jnp.diagonal(self.inverse_cholesky, axis1=-2, axis2=-1)
        log_q = _log_density(jnp.sum(noise**2, axis=-1), k)
        return along(shape, self.mean) + deviation, log_q - along(shape, jnp.log(diagonal).sum(-1))

    def _is_wide(self, keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Which draws are the Student t's, (*shape, B)."""
        offset = jnp.floor(EVERY * example_keys.uniform(example_keys.fold_in(keys, 0)))
        number = jnp.arange(math.prod(shape)).reshape(*shape, 1)
        return (number + along(shape, offset)) % EVERY == 0


def _log_density(squares: jax.Array, k: int) -> jax.Array:
    """log of 0.9 N(r; 0, I) + 0.1 t(r; 0, I) in k dimensions, from |r|^2."""
    gaussian = -0.5 * (k * LOG_2_PI + squares)
    half = 0.5 * (FREEDOM + k)
    student = gammaln(half) - gammaln(0.5 * FREEDOM) - 0.5 * k * jnp.log(FREEDOM * jnp.pi)
    student = student - half * jnp.log1p(squares / FREEDOM)
    share = 1.0 / EVERY
    return jnp.logaddexp(jnp.log1p(-share) + gaussian, jnp.log(share) + student)


def refine(
    posterior: Posterior,
    keys: jax.Array,
    log_joint: Callable[[jax.Array], jax.Array],
    expand: Callable[[jax.Array], laplace.Expansion],
) -> DefensiveGaussian:
    """The `DefensiveGaussian` of each example of a batch.

    Args:
        posterior: q(z | x) of the model, a `vaes.posterior.Posterior` with z (B, k).
        keys: (B,) typed keys, other ones than the importance samples'.
        log_joint: function z (n, B, k) -> log p(x, z), (n, B).
        expand: function z (B, k) -> log p(x, .) about z, see `vaes.laplace`.
    """
    start, bound = (example_keys.fold_in(keys, purpose) for purpose in range(2))
    z = _best_start(posterior, start, log_joint)
    gaussian = _climb(z, log_joint, expand)
    return DefensiveGaussian(*_ascend_bound(*gaussian, expand, bound))


def _best_start(
    posterior: Posterior, keys: jax.Array, log_joint: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """The most probable of a few draws and of the posterior's mean, (B, k)."""
    draws, _ = posterior.sample_and_log_prob(keys, (STARTS,))
    candidates = jnp.concatenate([posterior.trace[-1:], draws])
    best = jnp.argmax(log_joint(candidates), axis=0)
    return jnp.take_along_axis(candidates, best[None, :, None], axis=0)[0]


def _climb(
    z: jax.Array,
    log_joint: Callable[[jax.Array], jax.Array],
    expand: Callable[[jax.Array], laplace.Expansion],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Newton steps, each the best of eleven lengths, so that log p(x, z) never falls.

    Returns the end (B, k), and the last precision and its inverse Cholesky factor (B, k, k).
    """

    def step(carry: Any, _: jax.Array) -> Any:
        z, *_ = carry
        local = expand(z)
        precision = local.precision()
        factor = inverse_cholesky(precision)
        z = laplace.best_step(log_joint, z, solve(factor, local.gradient()))
        return (z, precision, factor), None

    unknown = jnp.zeros((*z.shape, z.shape[-1]), z.dtype)
    return jax.lax.scan(step, (z, unknown, unknown), None, length=NEWTON_STEPS)[0]


def _ascend_bound(
    mean: jax.Array,
    precision: jax.Array,
    factor: jax.Array,
    expand: Callable[[jax.Array], laplace.Expansion],
    keys: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Mean (B, k) and inverse Cholesky factor (B, k, k) of the Gaussian after the natural gradients."""

    def newton_system(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        local = expand(z)
        return local.gradient(), local.precision()

    def step(carry: Any, t: jax.Array) -> Any:
        mean, precision, factor = carry
        noise = draw_noise(example_keys.fold_in(keys, t.astype(jnp.int32)), (), mean)
        deviation = jnp.einsum('bj,bji->bi', noise, factor)
        # Two draws mirrored in the mean: where p(z | x) is Gaussian, their gradients cancel.
        pair = jax.lax.map(newton_system, jnp.stack([mean + deviation, mean - deviation]))
        gradient, sampled = jax.tree.map(lambda a: a.mean(axis=0), pair)
        rate = 1.0 / (t + 2.0)
        precision = precision + rate * (sampled - precision)
        factor = inverse_cholesky(precision)
        return (mean + rate * solve(factor, gradient), precision, factor), None

    steps = jnp.arange(BOUND_STEPS, dtype=mean.dtype)
    (mean, _, factor), _ = jax.lax.scan(step, (mean, precision, factor), steps)
    return mean, factor
