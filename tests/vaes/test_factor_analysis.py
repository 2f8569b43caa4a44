"""Factor analysis against the normal density of scipy, the closed form of its maximum, and its own samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from vaes.factor_analysis import FactorAnalysis

D, K, N = 7, 3, 400


def rows(seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((N, K)) @ rng.standard_normal((K, D))
        + 0.3 * rng.standard_normal((N, D))
        + 1
    )


def built(isotropic, x):
    """The model and its variables, off their start."""
    model = FactorAnalysis(D, K, isotropic)
    variables = model.init(jax.random.key(0), x, None, 0, method='objective')
    return model, jax.tree.map(
        lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), variables
    )


def moments(variables):
    params = variables['params']
    sigma = np.exp(params['log_sigma'] + params.get('log_ratio', jnp.zeros(D)))
    return np.asarray(params['b']), np.asarray(params['W'] @ params['W'].T) + np.diag(sigma**2)


@pytest.mark.parametrize('isotropic', [True, False])
def test_likelihood_is_that_of_the_normal_density(x64, isotropic):
    x = jnp.asarray(rows())
    model, variables = built(isotropic, x)
    found = model.apply(variables, x, method='log_likelihood')
    np.testing.assert_allclose(
        found, multivariate_normal(*moments(variables)).logpdf(x), rtol=1e-10
    )


@pytest.mark.parametrize(('D', 'K', 'sigma'), [(63, 10, 1e-2), (300, 50, 1e-3)])
def test_likelihood_in_single_precision_is_that_of_double(D, K, sigma):
    rng = np.random.default_rng(0)
    W, z, noise = (rng.standard_normal(shape) for shape in ((D, K), (20, K), (20, D)))
    params = {
        'W': np.float32(W),
        'b': np.zeros(D, np.float32),
        'log_sigma': np.log(np.float32(sigma)),
    }
    x = np.float32(z @ W.T + sigma * noise)
    found = FactorAnalysis(D, K, isotropic=True).apply(
        {'params': params}, jnp.asarray(x), method='log_likelihood'
    )
    W, x = np.float64(params['W']), np.float64(x)
    covariance = W @ W.T + np.exp(2 * np.float64(params['log_sigma'])) * np.eye(D)
    expected = multivariate_normal(np.zeros(D), covariance).logpdf(x)
    # A hundredth of the spread over rows, sqrt(D / 2).
    np.testing.assert_allclose(found, expected, atol=0.01 * np.sqrt(D / 2))


def test_start_is_the_maximum_for_equal_noise(x64):
    x = jnp.asarray(rows())
    model = FactorAnalysis(D, K, isotropic=True)
    variables = model.init(jax.random.key(0), x, None, 0, method='objective')

    def loss(params):
        return model.apply({'params': params}, x, None, 0, method='objective')['loss'].mean()

    gradients = jax.grad(loss)(variables['params'])
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradients)) < 1e-9


def test_samples_have_the_moments_of_the_model():
    model, variables = built(False, jnp.asarray(rows(), jnp.float32))
    draws = model.apply(variables, jax.random.key(1), 200_000, method='sample')
    mean, covariance = moments(variables)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.1)


@pytest.mark.parametrize('K', [0, D])
def test_factors_are_fewer_than_features(K):
    with pytest.raises(ValueError, match=f'between 1 and 6, .* found {K}'):
        FactorAnalysis(D, K)
