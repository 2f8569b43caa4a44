"""The study's VAE and Ladder VAE: their equations, reductions and what the published code got wrong."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows.keys import fold_in, normal
from tests.helpers.convergence_models import (
    SMALL,
    example_keys,
    init,
    moved,
    objective,
    prepared,
)
from vaes.convergence_vae import MIN_STD, ConvergenceVAE, IndependentGaussian
from vaes.distributions import DiagonalGaussian
from vaes.ladder_vae import LadderVAE, merge
from vaes.latent_variable_model import LATENT


def dense(params, x):
    return np.asarray(x) @ params['kernel'] + params['bias']


def head(params, x):
    """Mean and log-variance of a GaussianHead in numpy."""
    return dense(params['Dense_0'], x), 10 * np.tanh(dense(params['Dense_1'], x) / 10)


def analytic_kl(mean, log_variance):
    return 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1)


def bernoulli(x, logits):
    p = 1 / (1 + np.exp(-logits))
    return (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)


def bound_terms(model):
    """The terms of one draw's bound as a compiled function of variables, x and keys."""
    return jax.jit(functools.partial(model.apply, method='bound_terms'))


def test_log_variance_takes_both_signs_and_stays_finite():
    model, variables, x = prepared('vae')
    # A copy: prepared variables serve other tests too.
    variables = jax.tree.map(lambda leaf: leaf, variables)
    head = variables['params']['head']['Dense_1']
    for shift in (-1e3, -5.0, 5.0, 1e3):
        head['bias'] = jnp.full_like(head['bias'], shift)
        q = model.apply(variables, x, example_keys(6), method='posterior').distribution
        assert bool((jnp.sign(q.log_variance) == np.sign(shift)).all())
        assert bool(jnp.isfinite(model.apply(variables, x, example_keys(6), method='elbo')).all())
        if shift == -5.0:
            assert float(jnp.exp(0.5 * q.log_variance).max()) < 0.2


def test_gaussian_decoder_reaches_data_outside_the_unit_square():
    likelihood = IndependentGaussian()
    f = jnp.array([[-3.5, 40.0, 2.0, -20.0]])
    np.testing.assert_array_equal(likelihood.mean(f), [[-3.5, 40.0]])
    std = np.array([MIN_STD + np.log1p(np.exp(2.0)), MIN_STD])
    x = jnp.array([[-3.0, 40.001]])
    deviation = (np.asarray(x[0]) - [-3.5, 40.0]) / std
    expected = (-0.5 * np.log(2 * np.pi) - np.log(std) - 0.5 * deviation**2).sum()
    np.testing.assert_allclose(likelihood.log_prob(x, f), [expected], rtol=1e-3)
    draws = likelihood.sample(jax.random.key(0), jnp.tile(f, (4000, 1)))
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.05)


def test_ladder_with_one_level_is_a_vae(x64):
    model = LadderVAE(num_features=6, hidden=(5,), latent_dims=(3,))
    x = jax.random.bernoulli(jax.random.key(0), 0.5, (8, 6)).astype(jnp.float64)
    variables = moved(init(model, x))
    batch_stats = variables['batch_stats']['blocks_0']['BatchNorm_0']
    batch_stats['var'] = jnp.abs(batch_stats['var'])
    terms = bound_terms(model)(variables, x, example_keys(8))
    params = jax.tree.map(np.asarray, variables['params'])
    block = params['blocks_0']
    stats = jax.tree.map(np.asarray, batch_stats)
    h = (dense(block['Dense_0'], x) - stats['mean']) / np.sqrt(stats['var'] + 1e-5)
    h = h * block['BatchNorm_0']['scale'] + block['BatchNorm_0']['bias']
    mean, log_variance = head(params['heads_0'], np.where(h > 0, h, 0.1 * h))
    noise = normal(fold_in(fold_in(example_keys(8), LATENT), 0), (3,), jnp.float64)
    z = mean + np.exp(0.5 * log_variance) * noise
    logits = dense(params['decoder_output'], np.maximum(dense(params['decoder_0'], z), 0))
    np.testing.assert_allclose(terms['kl'], analytic_kl(mean, log_variance), rtol=1e-6)
    np.testing.assert_allclose(terms['reconstruction_error'], -bernoulli(x, logits), rtol=1e-6)


def test_vae_bound_is_the_one_of_its_equations(x64):
    model = ConvergenceVAE(num_features=6, hidden=(5, 4), latent_dim=3)
    x = jax.random.bernoulli(jax.random.key(0), 0.5, (8, 6)).astype(jnp.float64)
    variables = moved(init(model, x))
    terms = bound_terms(model)(variables, x, example_keys(8))
    params = jax.tree.map(np.asarray, variables['params'])
    h = np.maximum(dense(params['encoder_0'], x), 0)
    h = np.maximum(dense(params['encoder_1'], h), 0)
    mean, log_variance = head(params['head'], h)
    noise = normal(fold_in(example_keys(8), LATENT), (3,), jnp.float64)
    h = np.tanh(dense(params['decoder_0'], mean + np.exp(0.5 * log_variance) * noise))
    h = np.tanh(dense(params['decoder_1'], h))
    logits = dense(params['decoder_output'], h)
    np.testing.assert_allclose(terms['kl'], analytic_kl(mean, log_variance), rtol=1e-6)
    np.testing.assert_allclose(terms['reconstruction_error'], -bernoulli(x, logits), rtol=1e-6)


def test_merge_is_the_product_of_two_gaussians():
    rng = np.random.default_rng(0)
    mean_a, mean_b, log_a, log_b = rng.normal(size=(4, 5, 3))
    q = merge(DiagonalGaussian(mean_a, log_a), DiagonalGaussian(mean_b, log_b))
    precision = np.exp(-log_a) + np.exp(-log_b)
    mean = (mean_a * np.exp(-log_a) + mean_b * np.exp(-log_b)) / precision
    np.testing.assert_allclose(q.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(q.log_variance, -np.log(precision), rtol=1e-5, atol=1e-6)
    sure = merge(DiagonalGaussian(mean_a, log_a), DiagonalGaussian(mean_b, log_b - 40))
    np.testing.assert_allclose(sure.mean, mean_b, rtol=1e-5)


@pytest.mark.parametrize('name', ['lvae', 'lvae_separate_merge'])
def test_reconstruction_depends_on_the_lowest_posterior_head(name):
    model, variables, x = prepared(name)

    def reconstruction_error(lowest):
        params = {**variables['params'], 'heads_0': lowest}
        return objective(model, {**variables, 'params': params}, x, example_keys(6), 0)[
            'reconstruction_error'
        ].sum()

    gradient = jax.jit(jax.grad(reconstruction_error))(variables['params']['heads_0'])
    for leaf in jax.tree.leaves(gradient):
        assert float(jnp.abs(leaf).max()) > 1e-6


def test_ladder_merges_with_the_prior_unless_told_otherwise():
    x = jnp.ones((4, 16))
    model = SMALL['lvae']
    encoded_nothing = moved(init(model, x), 0.1)
    # An encoder that is sure of nothing leaves the prior as the posterior below the top.
    encoded_nothing['params']['heads_0']['Dense_1']['bias'] = jnp.full(3, 1e4)
    terms = bound_terms(model)(encoded_nothing, x, example_keys(4))
    assert float(terms['kl_1'].max()) < 0.01
    assert set(terms) == {'reconstruction_error', 'kl', 'kl_1', 'kl_2'}
    np.testing.assert_allclose(terms['kl'], terms['kl_1'] + terms['kl_2'], rtol=1e-5)
    assert 'merges_0' not in encoded_nothing['params']
    assert 'merges_0' in prepared('lvae_separate_merge')[1]['params']


def test_ladder_trains_outside_of_any_mapped_axis():
    model, variables, x = prepared('lvae')
    keys = example_keys(len(x))
    terms, state = model.apply(variables, x, keys, 0, method='objective', mutable=['batch_stats'])
    np.testing.assert_allclose(terms['loss'], objective(model, variables, x, keys, 0)['loss'])
    assert set(state) == {'batch_stats'}


def test_batch_statistics_are_those_of_all_devices_together():
    model, variables, _ = prepared('lvae')
    model = model.clone(axis_name='batch')
    x = jax.random.bernoulli(jax.random.key(3), 0.3, (8, 16)).astype(jnp.float32)
    keys = example_keys(8)

    def train(x, keys):
        return model.apply(variables, x, keys, 0, method='objective', mutable=['batch_stats'])

    def sharded(shards):
        mapped = jax.jit(jax.vmap(train, axis_name='batch'))
        rows = jax.tree.map(lambda a: a.reshape(shards, 8 // shards, *a.shape[1:]), (x, keys))
        terms, state = mapped(*rows)
        return terms['loss'].reshape(-1), jax.tree.map(lambda a: a[0], state)

    (one_loss, one_state), (four_loss, four_state) = sharded(1), sharded(4)
    np.testing.assert_allclose(four_loss, one_loss, rtol=1e-4)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), four_state, one_state
    )
    moved_mean = one_state['batch_stats']['blocks_0']['BatchNorm_0']['mean']
    assert float(jnp.abs(moved_mean).max()) > 0


def test_no_start_of_the_toy_ladder_is_broken():
    model = LadderVAE(
        num_features=2, hidden=(16, 16, 16), latent_dims=(4, 4, 4), output=IndependentGaussian()
    )
    x, keys = 4 * jax.random.normal(jax.random.key(0), (32, 2)), example_keys(32)

    def start(key):
        variables = model.init({'params': key}, x, keys, jnp.int32(0), method='objective')

        def loss(params):
            terms = objective(model, {**variables, 'params': params}, x, keys, 0)
            return terms['loss'].mean()

        value, gradient = jax.value_and_grad(loss)(variables['params'])
        return value, jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(gradient)])

    values, gradients = jax.jit(jax.vmap(start))(jax.random.split(jax.random.key(1), 100))
    assert bool(jnp.isfinite(values).all())
    assert bool(jnp.isfinite(gradients).all())


def test_both_forms_of_the_kl_have_one_mean():
    model, variables, x = prepared('lvae')
    rows, keys = jnp.repeat(x[:1], 4000, axis=0), example_keys(4000)

    def elbo(kl):
        bound = jax.jit(functools.partial(model.clone(kl=kl).apply, method='elbo'))
        values = np.asarray(bound(variables, rows, keys), np.float64)
        return values.mean(), values.std() / 4000**0.5

    (mean, error), (reference, reference_error) = elbo('sample'), elbo('analytic')
    assert abs(mean - reference) < 4 * (error + reference_error)


def test_importance_weighted_likelihood_of_an_oracle():
    # A decoder that ignores z: p(x) is known, whatever the posterior.
    model, variables, x = prepared('lvae')
    kernel = variables['params']['decoder_output']['kernel']
    params = {**variables['params']}
    params['decoder_output'] = {'kernel': 0 * kernel, 'bias': jnp.linspace(-2, 2, 16)}
    # Away from the prior, but wide, so that the weights have a variance.
    for level in ('heads_0', 'heads_1'):
        params[level] = jax.tree.map(lambda leaf: 0.3 * leaf, params[level])
    params['heads_0']['Dense_1']['bias'] += 2.0
    log_p = jax.jit(functools.partial(model.apply, method='log_likelihood'), static_argnums=3)(
        {**variables, 'params': params}, x, example_keys(6), 3000
    )
    logits = np.linspace(-2, 2, 16)[None]
    np.testing.assert_allclose(log_p, bernoulli(np.asarray(x), logits), atol=0.05)


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='one entry per level'):
        LadderVAE(hidden=(8, 8), latent_dims=(2,))
