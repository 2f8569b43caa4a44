"""Importance-weighted estimates of log p(x), streamed over blocks of samples.

    log p(x) ~ log 1/K sum_k w_k,   w_k = p(x | z_k) p(z_k) / q(z_k | x),   z_k ~ q(z | x)

Burda, Grosse, Salakhutdinov, "Importance Weighted Autoencoders", 2015, arXiv 1509.00519.
"""

import jax
import jax.numpy as jnp
from flax import struct

from flows import keys as example_keys

BLOCK = 100  # samples drawn from one key; part of what a seed means, so not an option


@struct.dataclass
class Estimate:
    """What K importance samples say of each example; all (B,).

    Attributes:
      log_likelihood: log of the mean weight, in nats; a lower bound on log p(x) in expectation.
      effective_sample_size: (sum w)^2 / sum w^2, between 1 and K.
      standard_error: of log_likelihood, by the delta method; infinite for K = 1, where nothing is
        known of it.
    """

    log_likelihood: jax.Array
    effective_sample_size: jax.Array
    standard_error: jax.Array


def estimate(log_weights, keys, num_samples):
    """Estimate of log p(x) from `num_samples` weights per example.

    Args:
      log_weights: function (keys (B,), n) -> log w (n, B), of n fresh draws.
      keys: (B,) typed keys; block b of the draws uses fold_in(keys, b).
      num_samples: K >= 1, a Python int. Memory is that of one block of at most 100.
    """
    if num_samples < 1:
        raise ValueError(f'num_samples must be at least 1; got {num_samples}; pass 1 or more.')
    size = min(BLOCK, num_samples)

    def add_block(sums, block):
        log_w = log_weights(example_keys.fold_in(keys, block), size)
        unused = block * size + jnp.arange(size) >= num_samples
        log_w = jnp.where(unused[:, None], -jnp.inf, log_w)
        of_block = jax.nn.logsumexp(log_w, axis=0), jax.nn.logsumexp(2.0 * log_w, axis=0)
        return jax.tree.map(jnp.logaddexp, sums, of_block), None

    shape = jax.eval_shape(lambda k: log_weights(k, size), keys)
    nothing = jnp.full(shape.shape[1:], -jnp.inf, shape.dtype)
    blocks = jnp.arange(-(-num_samples // size))
    (log_sum, log_sum_of_squares), _ = jax.lax.scan(add_block, (nothing, nothing), blocks)
    return _summarise(log_sum, log_sum_of_squares, num_samples)


def _summarise(log_sum, log_sum_of_squares, num_samples):
    size = jnp.exp(2.0 * log_sum - log_sum_of_squares)
    size = jnp.clip(size, 1.0, num_samples)  # rounding can leave the interval by a hair
    if num_samples == 1:
        error = jnp.full_like(log_sum, jnp.inf)
    else:
        error = jnp.sqrt((num_samples / size - 1.0) / (num_samples - 1.0))
    return Estimate(log_sum - jnp.log(float(num_samples)), size, error)
