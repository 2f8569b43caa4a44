"""Importance-weighted estimates of log p(x), streamed over blocks of samples.

    log p(x) ~ log 1/K sum_k w_k,   w_k = p(x, z_k) / q(z_k | x),   z_k ~ q(z | x)

Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2015, arXiv:1509.00519. z is the latent of an
autoencoder, or the noise of a flow's dequantisation.

Where q misses most of p(z | x), a few weights are the whole sum: the estimate is then far too low, by nats that
no spread of the weights shows, since what would show it was not drawn. The effective sample size says so when it is
near 1, and the estimate from the first tenth of the draws when it is well below that from all of them.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

BLOCK = 100  # samples drawn at once; part of what a seed means, so not an option


@struct.dataclass
class Estimate:
    """What K importance samples say of each example; all (B,).

    Attributes:
        log_likelihood: log of the mean weight, in nats; a lower bound on log p(x) in expectation.
        effective_sample_size: (sum w)^2 / sum w^2, between 1 and K.
        standard_error: the sampling noise of log_likelihood, by the delta method, sqrt((K / ESS - 1) / (K - 1));
            infinite for K = 1. It knows nothing of the bias, and is at most 1 nat however wrong the estimate is: trust
            it only where the effective sample size is in the tens or above.
        log_likelihood_at_tenth: the same from the first K // 10 of these draws; None for K < 10.
    """

    log_likelihood: jax.Array
    effective_sample_size: jax.Array
    standard_error: jax.Array
    log_likelihood_at_tenth: jax.Array | None


def estimate(log_weights: Callable[[Any, int], jax.Array], num_samples: int) -> Estimate:
    """Estimate of log p(x) from `num_samples` weights per example.

    Args:
        log_weights: function (block () int32, n) -> log w (n, B), of the n draws of one block, the numbers block * n to
            (block + 1) * n - 1.
        num_samples: K >= 1, a Python int. Memory is that of one block of at most 100.
    """
    if num_samples < 1:
        raise ValueError(f'num_samples must be at least 1; got {num_samples}; pass 1 or more.')
    size, tenth = min(BLOCK, num_samples), num_samples // 10

    def add_block(sums: tuple[jax.Array, ...], block: jax.Array) -> tuple[Any, None]:
        log_w = log_weights(block, size)
        number = block * size + jnp.arange(size)
        log_w = _first(log_w, number, num_samples)
        values = (log_w, 2.0 * log_w, _first(log_w, number, tenth))
        of_block = tuple(jax.nn.logsumexp(value, axis=0) for value in values)
        return jax.tree.map(jnp.logaddexp, sums, of_block), None

    shape = jax.eval_shape(lambda: log_weights(0, size))
    nothing = jnp.full(shape.shape[1:], -jnp.inf, shape.dtype)
    blocks = jnp.arange(-(-num_samples // size))
    sums, _ = jax.lax.scan(add_block, (nothing, nothing, nothing), blocks)
    return _summarise(*sums, num_samples)


def _first(log_w: jax.Array, number: jax.Array, count: int) -> jax.Array:
    """log w (n, B), of the draws with these numbers (n,), without the weights of all but the first `count`."""
    return jnp.where((number < count)[:, None], log_w, -jnp.inf)


def _summarise(
    log_sum: jax.Array, log_sum_of_squares: jax.Array, log_sum_at_tenth: jax.Array, num_samples: int
) -> Estimate:
    size = jnp.exp(2.0 * log_sum - log_sum_of_squares)
    size = jnp.clip(size, 1.0, num_samples)  # rounding can leave the interval by a hair
    if num_samples == 1:
        error = jnp.full_like(log_sum, jnp.inf)
    else:
        error = jnp.sqrt((num_samples / size - 1.0) / (num_samples - 1.0))
    tenth = num_samples // 10
    at_tenth = log_sum_at_tenth - jnp.log(float(tenth)) if tenth else None
    return Estimate(log_sum - jnp.log(float(num_samples)), size, error, at_tenth)
