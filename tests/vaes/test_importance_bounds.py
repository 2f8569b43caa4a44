"""Importance sampling against what is known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.helpers.laplace_models import (
    B,
    D,
    K,
    LinearDecoder,
    build,
    estimate,
    example_keys,
    examples,
)
from vaes import VAE, ConvergenceVAE, IndependentGaussian, groups, latent_variable_model


@pytest.mark.usefixtures('x64')
def test_mean_field_proposal_agrees_with_probabilistic_pca_within_its_standard_error():
    model, variables = build(VAE, jnp.float64, custom_decoder=LinearDecoder())
    # A proposal centred on zero with the prior's variance, wide enough for every posterior.
    for head in ('mean_head', 'log_variance_head'):
        zero = jax.tree.map(jnp.zeros_like, variables['params'][head])
        variables['params'][head] = zero
    likelihood = model.apply(variables, method='likelihood')
    x = examples(dtype=jnp.float64)
    parameters = variables['params']['custom_decoder']['Dense_0']
    weights, offset = np.asarray(parameters['kernel']).T, np.asarray(parameters['bias'])
    covariance = weights @ weights.T + np.exp(likelihood.log_variance) * np.eye(D)
    exact = scipy.stats.multivariate_normal(offset, covariance).logpdf(x)

    evaluate = jax.jit(lambda keys: estimate(model, variables, x, keys, 5000))
    found = [evaluate(example_keys(seed=seed)) for seed in range(8)]
    errors = np.stack([f.log_likelihood - exact for f in found])
    standard = np.stack([f.standard_error for f in found])
    sizes = np.stack([f.effective_sample_size for f in found])
    assert (np.abs(errors) < 4.5 * standard).all()
    assert (np.abs(errors) < 3.0 * standard).mean() > 0.95
    assert ((sizes > 1.0) & (sizes < 5000.0)).all()
    # The stated standard error is the spread that repetitions have.
    ratio = errors.std(axis=0) / standard.mean(axis=0)
    assert 0.5 < np.median(ratio) < 1.6


def test_single_sample_elbo_averages_to_the_bound_with_the_analytic_kl():
    sampled, variables = build(VAE)
    analytic = sampled.clone(kl='analytic')
    n = 4000
    x = jnp.repeat(examples()[:1], n, axis=0)
    bounds = [
        np.asarray(model.apply(variables, x, example_keys(n, seed), method='elbo'))
        for seed, model in enumerate((sampled, analytic))
    ]
    difference = bounds[0].mean() - bounds[1].mean()
    assert abs(difference) < 4.0 * np.hypot(*(bound.std() / n**0.5 for bound in bounds))


def test_posterior_draws_come_from_each_example_alone():
    model, variables = build(VAE)
    x, keys = examples(), example_keys()
    q = model.apply(variables, x, keys, method='posterior')
    z, log_q = q.sample_and_log_prob(keys, (6,))
    assert z.shape == (6, B, K)
    assert log_q.shape == (6, B)
    part = model.apply(variables, x[3:5], keys[3:5], method='posterior')
    alone, _ = part.sample_and_log_prob(keys[3:5], (6,))
    np.testing.assert_allclose(z[:, 3:5], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(('size', 'group'), [(7, 3), (6, 3), (5, 9), (1, 1), (4, 1)])
def test_groups_join_to_the_whole(size, group):
    values = jnp.arange(2.0 * size).reshape(size, 2)
    found = groups.map_groups(lambda rows: {'a': values[rows], 'b': rows}, size, group)
    np.testing.assert_array_equal(found['a'], values)
    np.testing.assert_array_equal(found['b'], np.arange(size))


def wide(width):
    """A model of points in the plane with wide layers, and its variables."""
    model = ConvergenceVAE(
        num_features=2, hidden=(width,), latent_dim=3, output=IndependentGaussian()
    )
    arguments = {'params': jax.random.key(0)}, jnp.ones((2, 2)), example_keys(2), jnp.int32(0)
    return model, model.init(*arguments, method='objective')


def test_groups_of_examples_follow_the_widest_layer(monkeypatch):
    model, variables = wide(64)
    x = jax.random.normal(jax.random.key(1), (7, 2))
    together = estimate(model, variables, x, example_keys(7), 20).log_likelihood
    seen = []

    def spied(function, size, group):
        seen.append((size, group))
        return groups.map_groups(function, size, group)

    monkeypatch.setattr(latent_variable_model, 'OUTPUTS_AT_A_TIME', 3 * 20 * 64 + 1)
    monkeypatch.setattr(latent_variable_model, 'map_groups', spied)
    apart = estimate(model, variables, x, example_keys(7), 20).log_likelihood
    assert seen == [(7, 3)]
    np.testing.assert_allclose(apart, together, rtol=1e-5)


def test_memory_does_not_grow_with_the_examples():
    model, variables = wide(128)

    def temporaries(n):
        x, keys = jnp.ones((n, 2)), example_keys(n)
        evaluate = jax.jit(lambda x, keys: estimate(model, variables, x, keys, 100))
        return evaluate.lower(x, keys).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(40_000) < 2**29  # 100 draws of 40,000 examples, 128 wide: 2 GB
