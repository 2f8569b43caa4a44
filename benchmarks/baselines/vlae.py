"""The published loop of the variational Laplace autoencoder, operation for operation, as the side to compare with.

Park, Kim, Kim, "Variational Laplace Autoencoders", ICML 2019: Jacobians J (B, D, k) of the ReLU decoder are written out
and kept for the backward pass, each step inverts its precision, and the posterior's factor is the Cholesky factor of
that inverse:

    L_t = I + J^T J / s^2      mu* = L_t^-1 J^T (x - b) / s^2,  b = f(mu_t) - J mu_t      q = N(mu_T, L_T^-1)

Only the Gaussian output. J is laid out as (B, k, D), so that it and its gradient are large products of two matrices,
which XLA makes fastest. Every function takes the parameters of `vaes.VLAE`, so that both sides start from, and can be
compared at, the same numbers.
"""

import jax
import jax.numpy as jnp

from flows.base_densities import standard_normal_log_prob
from vaes.distributions import LOG_2_PI, gaussian_log_prob


def dense(layer, inputs):
    """A linear layer: (..., n) -> (..., m)."""
    return inputs @ layer['kernel'] + jnp.expand_dims(layer['bias'], range(inputs.ndim - 1))


def start(params, x):
    """The encoder's mean, (B, k)."""
    encoder = params['encoder']
    hidden = jax.nn.relu(dense(encoder['hidden_1'], x))
    hidden = jax.nn.relu(dense(encoder['hidden_2'], hidden))
    return dense(params['mean_head'], hidden)


def decode(params, z):
    """f(z): (..., k) -> (..., D)."""
    decoder = params['decoder']
    hidden = jax.nn.relu(dense(decoder['hidden_1'], z))
    hidden = jax.nn.relu(dense(decoder['hidden_2'], hidden))
    return dense(decoder['output'], hidden)


def decode_and_jacobian(params, z):
    """f(z) (B, D) and J^T (B, k, D) from the masks of the active units."""
    decoder = params['decoder']
    hidden_1 = jax.nn.relu(dense(decoder['hidden_1'], z))
    hidden_2 = jax.nn.relu(dense(decoder['hidden_2'], hidden_1))
    transposed = (hidden_1 > 0)[:, None] * decoder['hidden_1']['kernel'][None]
    transposed = (hidden_2 > 0)[:, None] * times(transposed, decoder['hidden_2']['kernel'])
    return dense(decoder['output'], hidden_2), times(transposed, decoder['output']['kernel'])


def times(rows, kernel):
    """(B, k, n), (n, m) -> (B, k, m), as one matrix product forward and backward."""
    flat = rows.reshape(-1, rows.shape[-1]) @ kernel
    return flat.reshape(*rows.shape[:-1], -1)


def posterior(params, x, n_update, update_lr):
    """mu_T (B, k) and its precision (B, k, k), after T = `n_update` updates with weights update_lr / (t + 1)."""
    inverse_variance = jnp.exp(-params['output']['log_variance'])
    mu = start(params, x)
    for t in range(n_update + 1):
        f, transposed = decode_and_jacobian(params, mu)
        jacobian = jnp.swapaxes(transposed, 1, 2)
        precision = inverse_variance * (transposed @ jacobian) + jnp.eye(mu.shape[1])[None]
        if t == n_update:
            return mu, precision
        residual = x - f + (jacobian @ mu[:, :, None])[:, :, 0]
        pulled_back = inverse_variance * (transposed @ residual[:, :, None])
        mode = (jnp.linalg.inv(precision) @ pulled_back)[:, :, 0]
        weight = update_lr / (t + 1)
        mu = (1 - weight) * mu + weight * mode


def sample_and_log_prob(mu, precision, noise):
    """z ~ q and log q(z) by inverse and Cholesky: (n, k), (n, k, k), (n, k) -> (n, k), (n,)."""
    factor = jnp.linalg.cholesky(jnp.linalg.inv(precision))
    deviation = (factor @ noise[:, :, None])[:, :, 0]
    log_det = jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)).sum(1)
    squares = (deviation * (precision @ deviation[:, :, None])[:, :, 0]).sum(1)
    return mu + deviation, -0.5 * (mu.shape[1] * LOG_2_PI + squares) - log_det


def log_joint(params, x, z):
    """log p(x, z): (n, D) or (1, D), (n, k) -> (n,)."""
    f = decode(params, z)
    log_variance = jnp.full_like(f, params['output']['log_variance'])
    return gaussian_log_prob(x, f, log_variance) + standard_normal_log_prob(z)


def loss(params, x, noise, n_update=4, update_lr=0.5):
    """One-sample negative ELBO, (B,), for x (B, D) and standard normal noise (B, k)."""
    mu, precision = posterior(params, x, n_update, update_lr)
    z, log_q = sample_and_log_prob(mu, precision, noise)
    return log_q - log_joint(params, x, z)


def log_likelihood(params, x, key, num_samples, n_update=4, update_lr=0.5):
    """log p(x) of one x (1, D) by importance sampling, (); the precision is repeated and factored for every sample."""
    mu, precision = posterior(params, x, n_update, update_lr)
    noise = jax.random.normal(key, (num_samples, mu.shape[1]), mu.dtype)
    repeated = jnp.repeat(precision, num_samples, axis=0)
    # Behind the barrier the compiler cannot see that the copies are the same.
    repeated = jax.lax.optimization_barrier(repeated)
    z, log_q = sample_and_log_prob(jnp.repeat(mu, num_samples, axis=0), repeated, noise)
    weights = log_joint(params, x, z) - log_q
    return jax.nn.logsumexp(weights) - jnp.log(float(num_samples))
