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
