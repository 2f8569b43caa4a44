"""Importance samples from a proposal made for each example, against what is known exactly."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.helpers.convergence_models import prepared
from tests.helpers.laplace_models import (
    B,
    D,
    K,
    LinearDecoder,
    TanhDecoder,
    build,
    estimate,
    example_keys,
    examples,
)
from vaes import IAFVAE, VAE, VLAE
from vaes.cholesky import inverse_cholesky
from vaes.convergence_vae import IndependentGaussian
from vaes.refined import EVERY, FREEDOM, DefensiveGaussian

F64 = jnp.float64


def refined(model, variables, x, num_samples, proposal='refined'):
    function = jax.jit(lambda x, keys: estimate(model, variables, x, keys, num_samples, proposal))
    return function(x, example_keys(len(x)))


@pytest.mark.usefixtures('x64')
def test_linear_decoder_needs_few_samples_where_the_encoder_is_off_by_nats():
    model, variables = build(VAE, F64, custom_decoder=LinearDecoder())
    x = examples(dtype=F64)
    decoder = variables['params']['custom_decoder']['Dense_0']
    weights, offset = np.asarray(decoder['kernel']).T, np.asarray(decoder['bias'])
    variance = np.exp(float(variables['params']['output']['log_variance']))
    covariance = weights @ weights.T + variance * np.eye(D)
    exact = scipy.stats.multivariate_normal(offset, covariance).logpdf(x)
    variables['params']['log_variance_head']['bias'] -= 3.0

    encoder = refined(model, variables, x, 100, 'posterior')
    assert (exact - encoder.log_likelihood).mean() > 2.0
    found = refined(model, variables, x, 100)
    assert abs(np.mean(found.log_likelihood - exact)) < 0.01
    np.testing.assert_allclose(found.log_likelihood, exact, atol=0.04)
    np.testing.assert_allclose(found.log_likelihood_at_tenth, exact, atol=0.2)
    assert (found.effective_sample_size > 95.0).all()


OTHERS = {
    'iaf': lambda: (*build(IAFVAE, iaf_dim=12, n_flow=2), examples()),
    'vlae, own decoder, Bernoulli': lambda: (
        *build(VLAE, custom_decoder=TanhDecoder(), output_dist='bernoulli'),
        examples('bernoulli'),
    ),
    'study_vae': lambda: prepared('gaussian_vae'),
}


def by_quadrature(model, variables, x):
    """log p(x) of a model with three latents, (B,), on a grid of steps of 0.2."""
    axis = np.linspace(-5.0, 5.0, 51)
    z = jnp.asarray(list(itertools.product(axis, repeat=3)))
    f = model.apply(variables, z, method='decode')
    likelihood = model.apply(variables, method='likelihood')
    log_joint = likelihood.log_prob(x[:, None], f[None]) + model.prior_log_prob(z)[None]
    return jax.nn.logsumexp(log_joint, axis=1) + 3 * np.log(axis[1] - axis[0])


@pytest.mark.parametrize('name', OTHERS)
def test_estimate_is_that_of_quadrature_whatever_the_posterior_and_the_decoder(name):
    model, variables, x = OTHERS[name]()
    found = refined(model, variables, x, 400)
    exact = by_quadrature(model, variables, x)
    noise = 4.5 * found.standard_error + 0.01
    assert (np.abs(found.log_likelihood - exact) < noise).all()
    assert np.median(found.effective_sample_size) > 200


def test_estimates_of_all_binary_vectors_add_up_to_one():
    model, variables = build(VAE, output_dist='bernoulli')
    x = jnp.asarray(list(itertools.product([0.0, 1.0], repeat=D)))
    found = refined(model, variables, x, 50)
    assert np.exp(np.asarray(found.log_likelihood, np.float64)).sum() == pytest.approx(
        1.0, abs=0.01
    )


@pytest.mark.usefixtures('x64')
def test_defensive_draws_have_their_density_and_their_proportions():
    spread = jax.random.normal(jax.random.key(0), (B, K, K), F64)
    precision = jnp.eye(K)[None] + spread @ jnp.swapaxes(spread, 1, 2)
    mean = jax.random.normal(jax.random.key(1), (B, K), F64)
    q = DefensiveGaussian(mean, inverse_cholesky(precision))
    z, log_q = q.sample_and_log_prob(example_keys(), (2000,))
    assert (z.shape, log_q.shape) == ((2000, B, K), (2000, B))
    for i in range(B):
        covariance = np.linalg.inv(precision[i])
        gaussian = scipy.stats.multivariate_normal(mean[i], covariance).logpdf(z[:, i])
        student = scipy.stats.multivariate_t(mean[i], covariance, FREEDOM).logpdf(z[:, i])
        share = 1.0 / EVERY
        mixture = np.logaddexp(np.log(1 - share) + gaussian, np.log(share) + student)
        np.testing.assert_allclose(log_q[:, i], mixture, rtol=1e-9)
    # The mean weight of a normalised target is one, by draws in their proportions.
    target = jax.scipy.stats.norm.logpdf(z, mean[None] + 0.1, 0.5).sum(-1)
    weights = np.exp(target - log_q)
    error = weights.std(axis=0) / 2000**0.5
    assert (np.abs(weights.mean(axis=0) - 1.0) < 4.5 * error).all()


def test_wide_draws_are_one_in_ten_from_a_random_one_on():
    q = DefensiveGaussian(jnp.zeros((500, 1)), jnp.ones((500, 1, 1)))
    wide = np.asarray(q._is_wide(example_keys(500), (30,)))
    assert (wide.reshape(3, EVERY, 500).sum(axis=1) == 1).all()
    first = np.bincount(wide[:EVERY].argmax(axis=0), minlength=EVERY)
    assert (first > 20).all()


@pytest.mark.parametrize('name', ['lvae', 'draw'])
def test_latents_that_depend_on_each_other_are_refused(name):
    model, variables, x = prepared(name)
    with pytest.raises(ValueError, match="'refined' needs a model whose z is one vector"):
        refined(model, variables, x, 5)


def test_an_unknown_proposal_is_refused():
    model, variables = build(VAE)
    with pytest.raises(
        ValueError, match="Unknown proposal 'prior': choose one of posterior, refined"
    ):
        refined(model, variables, examples(), 5, 'prior')


@pytest.mark.usefixtures('x64')
def test_score_and_curvature_of_the_independent_gaussian():
    likelihood = IndependentGaussian()
    f = jax.random.normal(jax.random.key(0), (2 * D,), F64)
    x = examples(n=1, dtype=F64)[0]
    np.testing.assert_allclose(
        likelihood.score(x, f), jax.grad(lambda f: likelihood.log_prob(x, f))(f), rtol=1e-10
    )
    # The Hessian is quadratic in x, so that two points of the right mean and variance have its expectation.
    mean, std = likelihood._mean_and_std(f)
    hessian = jax.hessian(lambda f, x: likelihood.log_prob(x, f))
    expected = -0.5 * (hessian(f, mean + std) + hessian(f, mean - std))
    np.testing.assert_allclose(jnp.diag(likelihood.curvature(f)), expected, rtol=1e-9, atol=1e-12)
