"""Inference gaps against probabilistic PCA, where the posterior and both gaps are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.helpers.convergence_models import prepared
from tests.helpers.laplace_models import B, D, K, LinearDecoder, build, example_keys, examples
from train.diagnostics import inference_gaps as gaps
from vaes import IAFVAE, VAE, VLAE


def measure(model, variables, x, **settings):
    function = functools.partial(gaps.inference_gaps, model, **settings)
    return jax.jit(function)(variables, x, example_keys(len(x)))


def pca(model_class, **fields):
    """A model with a linear decoder, its data, exact log p(x), and posterior precision and means."""
    model, variables = build(model_class, jnp.float64, custom_decoder=LinearDecoder(), **fields)
    x = examples(dtype=jnp.float64)
    decoder = variables['params']['custom_decoder']['Dense_0']
    weights, offset = np.asarray(decoder['kernel']).T, np.asarray(decoder['bias'])
    variance = np.exp(float(variables['params']['output']['log_variance']))
    covariance = weights @ weights.T + variance * np.eye(D)
    log_p = scipy.stats.multivariate_normal(offset, covariance).logpdf(x)
    precision = np.eye(K) + weights.T @ weights / variance
    means = np.linalg.solve(precision, weights.T @ (x - offset[None]).T / variance).T
    return model, variables, x, log_p, precision, means


def posterior(model, variables, x):
    return model.apply(variables, x, example_keys(len(x)), method='posterior').distribution


@pytest.mark.usefixtures('x64')
def test_gaps_of_a_mean_field_posterior_are_those_of_algebra():
    model, variables, x, log_p, precision, means = pca(VAE)
    # Not so far from the posterior that a thousand draws could not tell its bound.
    variables['params']['log_variance_head']['bias'] -= 2.0
    q = posterior(model, variables, x)
    found = measure(model, variables, x, num_samples=5000)
    log_det = np.linalg.slogdet(precision)[1]
    approximation = 0.5 * (np.log(np.diag(precision)).sum() - log_det)
    assert approximation > 0.1
    deviation, variances = q.mean - means, np.exp(q.log_variance)
    squares = np.einsum('bi,ij,bj->b', deviation, precision, deviation)
    inference = squares + variances @ np.diag(precision) - K - q.log_variance.sum(1) - log_det
    np.testing.assert_allclose(found['log_likelihood'], log_p, atol=0.05)
    np.testing.assert_allclose(log_p - found['best_elbo'], approximation, atol=0.1)
    np.testing.assert_allclose(log_p - found['elbo'], 0.5 * inference, rtol=0.05, atol=0.1)
    assert (found['best_elbo'] > found['elbo'] + 0.5).all()


@pytest.mark.usefixtures('x64')
def test_full_covariance_leaves_no_approximation_gap():
    model, variables, x, log_p, precision, means = pca(VLAE, n_update=2)
    deviation = posterior(model, variables, x).mean - means
    amortisation = 0.5 * np.einsum('bi,ij,bj->b', deviation, precision, deviation)
    assert amortisation.min() > 0.01
    found = measure(model, variables, x, num_samples=1000)
    np.testing.assert_allclose(found['log_likelihood'], log_p, atol=0.01)
    np.testing.assert_allclose(found['effective_sample_size'], 1000, rtol=0.05)
    np.testing.assert_allclose(found['best_elbo'], log_p, atol=0.01)
    np.testing.assert_allclose(log_p - found['elbo'], amortisation, rtol=0.1, atol=0.1)


@pytest.mark.usefixtures('x64')
def test_family_of_a_full_gaussian_starts_at_it_and_stays_a_density():
    q = posterior(*pca(VLAE)[:3])
    start, rebuild = gaps.local_parameters(q)
    for same, original in zip(*map(jax.tree.leaves, (rebuild(start), q)), strict=True):
        np.testing.assert_allclose(same, original, rtol=1e-12)
    moved = jax.tree.map(lambda a: a + 0.3 * jax.random.normal(jax.random.key(0), a.shape), start)
    q = rebuild(moved)
    assert not np.triu(np.asarray(q.inverse_cholesky), 1).any()
    z, log_q = q.sample_and_log_prob(example_keys())
    covariance = jnp.einsum('bji,bjk->bik', q.inverse_cholesky, q.inverse_cholesky)
    for i in range(B):
        expected = scipy.stats.multivariate_normal(q.mean[i], covariance[i]).logpdf(z[i])
        np.testing.assert_allclose(log_q[i], expected, rtol=1e-9)


OTHERS = {
    'iaf': lambda: (*build(IAFVAE, iaf_dim=12, n_flow=2), examples()),
    'vlae, Bernoulli': lambda: (*build(VLAE, output_dist='bernoulli'), examples('bernoulli')),
    'lvae': lambda: prepared('lvae'),
}


@pytest.mark.parametrize('name', OTHERS)
def test_best_posterior_lies_between_the_bound_and_the_likelihood(name):
    found = measure(*OTHERS[name](), num_samples=200, steps=100)
    assert (found['best_elbo'] >= found['elbo'] - 0.05).all()
    assert (found['best_elbo'] - found['elbo']).mean() > 0.0
    assert (found['log_likelihood'] >= found['best_elbo'] - 0.05).all()


def test_posterior_without_parameters_of_its_own_has_a_total_gap_only():
    found = measure(*prepared('draw'), num_samples=200)
    assert 'best_elbo' not in found
    assert (found['log_likelihood'] >= found['elbo'] - 0.05).all()


def test_gaps_of_an_example_do_not_depend_on_the_others():
    model, variables = build(VAE)
    x, keys = examples(), example_keys()
    function = jax.jit(functools.partial(gaps.inference_gaps, model, num_samples=20, steps=5))
    whole, part = function(variables, x, keys), function(variables, x[2:4], keys[2:4])
    for name, values in part.items():
        np.testing.assert_allclose(values, whole[name][2:4], rtol=1e-4, err_msg=name)
