"""The ten published parameter counts, and what every model of the study promises the trainer."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.convergence_models import (
    BINARY,
    PUBLISHED,
    SMALL,
    example_keys,
    init,
    moved,
    objective,
    prepared,
)


@pytest.mark.parametrize('name', PUBLISHED)
def test_parameter_count_is_the_published_one(name):
    model, num_features, count = PUBLISHED[name]
    variables = init.eval_shape(model, jax.ShapeDtypeStruct((2, num_features), jnp.float32))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables['params'])) == count


def everything(model, variables, x, keys):
    """Every method of the contract, by name."""
    apply = functools.partial(model.apply, variables)
    values = {
        **objective(model, variables, x, keys, 0),
        'log_likelihood': apply(x, keys, 7, method='log_likelihood'),
        'sample': apply(jax.random.key(3), 5, method='sample'),
    }
    if not model.exact:
        values['elbo'] = apply(x, keys, method='elbo')
    if hasattr(model, 'reconstruct'):
        values['sample_mean'] = apply(jax.random.key(3), 5, method='sample_mean')
        values['reconstruct'] = apply(x, keys, method='reconstruct')
    return values


@pytest.mark.parametrize('name', SMALL)
def test_model_keeps_the_contract(name):
    model, variables, x = prepared(name)
    values = jax.jit(everything, static_argnums=0)(model, variables, x, example_keys(6))
    assert model.exact == (name == 'coupling_flow')
    shapes = {'sample': (5, x.shape[1]), 'sample_mean': (5, x.shape[1]), 'reconstruct': x.shape}
    for method, value in values.items():
        assert value.shape == shapes.get(method, (6,)), method
        assert value.dtype == jnp.float32, method
        assert bool(jnp.isfinite(value).all()), method
    if name in BINARY:
        assert set(np.unique(values['sample'])) <= {0.0, 1.0}
    if 'sample_mean' in values:
        spread = jnp.ptp(values['sample_mean'], axis=0).max()
        assert spread > 0, 'each sample has a latent of its own'


@pytest.mark.parametrize('name', SMALL)
def test_every_parameter_gets_a_gradient(name):
    model, variables, x = prepared(name)

    # A zero-initialised output layer hides the gradient of what is below it at the start.
    params = moved(variables['params'], 0.1)

    @jax.jit
    @jax.grad
    def gradient(params):
        terms = objective(model, {**variables, 'params': params}, x, example_keys(6), 0)
        return terms['loss'].mean()

    for path, leaf in jax.tree.leaves_with_path(gradient(params)):
        where = jax.tree_util.keystr(path)
        # BatchNorm subtracts the bias before it again.
        if re.search(r"(blocks_\d|LadderBlock_0)'\]\['Dense_0'\]\['bias'\]$", where):
            continue
        assert float(jnp.abs(leaf).max()) > 0, where


@pytest.mark.parametrize('name', ['coupling_flow', 'image_flow', 'lvae', 'draw'])
def test_log_likelihood_of_an_example_depends_on_its_own_key_alone(name):
    model, variables, x = prepared(name)
    keys = example_keys(6)
    log_likelihood = jax.jit(
        functools.partial(model.apply, method='log_likelihood'), static_argnums=3
    )
    log_p = log_likelihood(variables, x, keys, 130)
    backwards = log_likelihood(variables, x[::-1], keys[::-1], 130)
    np.testing.assert_allclose(backwards[::-1], log_p, rtol=1e-5)
    if not model.exact:
        other = log_likelihood(variables, x, example_keys(6, seed=1), 130)
        assert (other != log_p).any()


@pytest.mark.parametrize('name', ['image_flow', 'vae', 'lvae', 'draw'])
def test_more_importance_samples_tighten_the_bound(name):
    model, variables, x = prepared(name)
    n = 1000

    @jax.jit
    def bounds(variables):
        rows, keys = jnp.repeat(x[:1], n, axis=0), example_keys(n)
        apply = functools.partial(model.apply, variables, rows, keys)
        one, ten = (apply(k, method='log_likelihood') for k in (1, 10))
        return apply(method='elbo'), one, ten

    elbo, one, ten = (np.asarray(values, np.float64) for values in bounds(variables))
    error = np.sqrt((elbo.var() + one.var() + ten.var()) / n)
    assert abs(elbo.mean() - one.mean()) < 4 * error
    assert ten.mean() > one.mean() + 3 * error


@pytest.mark.parametrize('name', ['vae', 'lvae', 'draw'])
def test_warm_up_scales_the_kl_of_the_loss_and_not_what_is_reported(name):
    model, variables, x = prepared(name)
    model = model.clone(kl_warmup_steps=100)
    call = jax.jit(lambda step: objective(model, variables, x, example_keys(6), step))
    for step, weight in ((0, 0.01), (49, 0.5), (99, 1.0), (5000, 1.0)):
        terms = call(jnp.int32(step))
        expected = terms['reconstruction_error'] + weight * terms['kl']
        np.testing.assert_allclose(terms['loss'], expected, rtol=1e-5)
        full = -terms['reconstruction_error'] - terms['kl']
        np.testing.assert_allclose(terms['elbo'], full, rtol=1e-5)
