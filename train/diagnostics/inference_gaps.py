"""How much a latent-variable model's bound loses, and to what.

Cremer, Li, Duvenaud, "Inference Suboptimality in Variational Autoencoders", ICML 2018,
arXiv 1801.03558. With q the posterior that a model gives to x, and q* the best of q's family for
that one x:

    log p(x) - ELBO(q)  =  log p(x) - ELBO(q*)  +  ELBO(q*) - ELBO(q)
      inference gap         approximation gap       amortisation gap

q* is found from q by ascent on the example's own bound, so ELBO(q*) is at most that of the best:
the approximation gap found here is too large rather than too small, the amortisation gap the other
way round. The family is whatever a posterior has of its own for one example: mean and variances, or
the whole covariance; reflections or context of a flow; the Gaussians of every level.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from flows import importance
from flows import keys as example_keys
from train.contract import Model, Variables
from vaes.distributions import FullGaussian
from vaes.iaf import FlowGaussian
from vaes.latent_variable_model import IMPORTANCE, REFINEMENT
from vaes.posterior import Posterior

LogWeights = Callable[[jax.Array, int], jax.Array]  # keys (B,), n -> (n, B) of n draws
Rebuild = Callable[[Any], Any]  # what is free of a posterior -> the posterior


# What an example's key is used for, after the purposes of the models.
ASCENT, BOUND = range(3, 5)
STEPS, DRAWS, LEARNING_RATE = 1000, 10, 0.1  # of the ascent: Adam, its rate falling to zero
BOUND_DRAWS = 1000  # from which a bound is taken


def inference_gaps(
    model: Model,
    variables: Variables,
    x: jax.Array,
    keys: jax.Array,
    num_samples: int,
    steps: int = STEPS,
) -> dict[str, jax.Array]:
    """The three quantities that the gaps lie between, a dict of (B,) in nats.

    Args:
        model, variables: a latent-variable model and its parameters.
        x: (B, D).
        keys: (B,) typed keys.
        num_samples: importance samples of log p(x).
        steps: of the ascent to q*.

    Returns:
        'log_likelihood' and its 'effective_sample_size', by importance sampling from q*; 'elbo' of q;
        'best_elbo' of q*. A posterior without parameters but the encoder's (DRAW) has no q*, so that q
        takes its place and 'best_elbo' is missing.
    """
    posterior = model.apply(
        variables, x, example_keys.fold_in(keys, REFINEMENT), method='posterior'
    )

    def log_weights(q: Any) -> LogWeights:
        return lambda keys, n: model.apply(variables, x, q, keys, n, method='log_weights')

    def bound(q: Any) -> jax.Array:
        return _mean(log_weights(q), example_keys.fold_in(keys, BOUND), BOUND_DRAWS)

    bounds, best = {'elbo': bound(posterior)}, posterior
    if jax.tree.leaves(posterior):
        best = best_posterior(log_weights, posterior, example_keys.fold_in(keys, ASCENT), steps)
        bounds['best_elbo'] = bound(best)
    draws = example_keys.fold_in(keys, IMPORTANCE)

    def of_block(block: int | jax.Array, n: int) -> jax.Array:
        return log_weights(best)(example_keys.fold_in(draws, block), n)

    estimate = importance.estimate(of_block, num_samples)
    return {
        **bounds,
        'log_likelihood': estimate.log_likelihood,
        'effective_sample_size': estimate.effective_sample_size,
    }


def best_posterior(
    log_weights: Callable[[Any], LogWeights], posterior: Any, keys: jax.Array, steps: int
) -> Any:
    """q* from the posterior q (a pytree), by Adam on each example's own bound.

    log_weights: q -> function (keys (B,), n) -> log p(x, z) - log q(z), (n, B), of n draws from q.
    """
    start, rebuild = local_parameters(posterior)
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    def loss(parameters: Any, step: jax.Array) -> jax.Array:
        log_w = log_weights(rebuild(parameters))(example_keys.fold_in(keys, step), DRAWS)
        return -jnp.sum(jnp.mean(log_w, axis=0))  # examples do not share parameters

    def update(carry: tuple[Any, Any], step: jax.Array) -> tuple[tuple[Any, Any], None]:
        parameters, state = carry
        updates, state = optimizer.update(jax.grad(loss)(parameters, step), state)
        return (optax.apply_updates(parameters, updates), state), None

    (parameters, _), _ = jax.lax.scan(update, (start, optimizer.init(start)), jnp.arange(steps))
    return rebuild(parameters)


def local_parameters(posterior: Any) -> tuple[Any, Rebuild]:
    """What of a posterior belongs to one example and is free: (parameters, parameters -> posterior)."""
    if isinstance(posterior, Posterior):
        parameters, rebuild = local_parameters(posterior.distribution)
        return parameters, lambda free: dataclasses.replace(posterior, distribution=rebuild(free))
    if isinstance(posterior, FlowGaussian):
        # The flow's own weights are the same for all examples.
        parameters = {'base': posterior.base, 'context': posterior.context}
        return parameters, lambda free: dataclasses.replace(posterior, **free)
    if isinstance(posterior, FullGaussian):
        return _relative_to(posterior)
    return posterior, lambda free: free


def _relative_to(q: FullGaussian) -> tuple[dict[str, jax.Array], Rebuild]:
    """Every full Gaussian from one, N(mean, R^T R): N(mean + R^T m, R^T U^T U R), U lower, at the start m = 0, U = I.

    In units of q itself, an ascent need not know how narrow a posterior is.
    """
    start = {
        'mean': jnp.zeros_like(q.mean),
        'lower': jnp.zeros_like(q.inverse_cholesky),
        'log_diagonal': jnp.zeros_like(q.mean),
    }

    def rebuild(free: dict[str, jax.Array]) -> FullGaussian:
        diagonal = jnp.eye(q.mean.shape[-1])[None] * jnp.exp(free['log_diagonal'])[:, None]
        factor = jnp.tril(free['lower'], -1) + diagonal
        mean = q.mean + jnp.einsum('bji,bj->bi', q.inverse_cholesky, free['mean'])
        return FullGaussian(mean, factor @ q.inverse_cholesky)

    return start, rebuild


def _mean(log_weights: LogWeights, keys: jax.Array, num_samples: int) -> jax.Array:
    """The mean of `num_samples` log-weights, whole blocks of them, (B,)."""

    def block(index: jax.Array) -> jax.Array:
        return log_weights(example_keys.fold_in(keys, index), importance.BLOCK).mean(axis=0)

    return jax.lax.map(block, jnp.arange(num_samples // importance.BLOCK)).mean(axis=0)
