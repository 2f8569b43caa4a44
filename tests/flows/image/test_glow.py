"""Glow on grey levels: its split prior, its bound with either dequantisation, its samples."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from flows import (
    ConvNet,
    Gaussian,
    GlowFlow,
    ImageFlow,
    RealImageFlow,
    SplineActivation,
    StandardUniform,
    UniformAugmentation,
    UniformDequantisation,
    VariationalDequantisation,
)
from flows.keys import fold_in
from tests.helpers.convergence_models import example_keys, init, moved

SHAPE, D = (2, 2, 1), 4
DEQUANTISATIONS = {
    'uniform': UniformDequantisation,
    'variational': lambda levels: VariationalDequantisation(levels, 3, ConvNet(4)),
}
either = pytest.mark.parametrize('dequantisation', DEQUANTISATIONS)


def glow(dequantisation, levels=256, couplings=2, **fields):
    return ImageFlow(
        shape=SHAPE,
        flow=GlowFlow(1, couplings, ConvNet(4)),
        dequantisation=DEQUANTISATIONS[dequantisation](levels),
        augmentation=UniformAugmentation(0),
        **fields,
    )


def images(n, levels=256):
    return jnp.asarray(np.random.default_rng(0).integers(0, levels, (n, D)), jnp.float32)


def start(layer, x, keys):
    return jax.jit(lambda: layer.init(jax.random.key(0), x, keys, method='forward_and_bound'))()


def test_pixels_go_through_splines_of_their_own_first(x64):
    flow = RealImageFlow(
        shape=(4, 4, 1), flow=GlowFlow(2, 1, ConvNet(3)), first=SplineActivation(3)
    )
    x = jax.random.normal(jax.random.key(0), (3, 16), jnp.float64)
    variables = moved(init(flow, x))

    @jax.jit
    def both_ways(x):
        z, log_det = flow.apply(variables, x, method='forward_and_log_det')

        def one(row):
            return flow.apply(variables, row[None], method='forward_and_log_det')[0][0]

        expected = jnp.linalg.slogdet(jax.vmap(jax.jacrev(one))(x))[1]
        return log_det, expected, *flow.apply(variables, z, method='inverse_and_log_det')

    log_det, expected, back, inverse_log_det = both_ways(x)
    np.testing.assert_allclose(log_det, expected, atol=1e-8)
    np.testing.assert_allclose(back, x, atol=1e-8)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-8)
    assert {'first', 'flow'} == set(variables['params'])


def test_what_leaves_at_a_split_has_a_learnt_gaussian_density(x64):
    flow, x = GlowFlow(2, 0), jax.random.normal(jax.random.key(0), (3, 4, 4, 2), jnp.float64)
    variables = moved(flow.init(jax.random.key(1), x, method='forward_and_log_det'))
    z, log_det = flow.apply(variables, x, method='forward_and_log_det')
    blocks = x.reshape(3, 2, 2, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(3, 2, 2, 8)
    kept, leaving = jnp.split(blocks, 2, axis=-1)
    conv = {'params': variables['params']['steps_0']['layers_0']['output']}
    raw, shift = jnp.split(nn.Conv(8, (3, 3)).apply(conv, kept), 2, axis=-1)
    sigma = jnp.exp(-2 * jnp.tanh(raw / 2))
    expected = stats.norm.logpdf(leaving, -shift * sigma, sigma).sum((1, 2, 3))
    expected += stats.norm.logpdf(kept).sum((1, 2, 3))
    np.testing.assert_allclose(Gaussian().log_prob(z) + log_det, expected, rtol=1e-12)


@either
def test_flow_that_moves_nothing_gives_every_image_the_same_probability(dequantisation):
    model, x = glow(dequantisation, couplings=0, base=StandardUniform()), images(5)
    keys = example_keys(5)
    variables = init(model, x)
    terms = jax.jit(lambda: model.apply(variables, x, keys, 0, method='objective'))()
    np.testing.assert_allclose(terms['elbo'], -D * np.log(256), rtol=1e-6)
    np.testing.assert_array_equal(terms['loss'], -terms['elbo'])


def test_both_dequantisations_estimate_one_probability_from_below():
    levels, n = 3, 6
    x, keys = images(n, levels), example_keys(n)
    variables = {name: init(glow(name, levels), x)['params'] for name in DEQUANTISATIONS}
    flow = moved(variables['uniform']['flow'], 0.2)
    noise = moved(variables['variational']['dequantisation'], 0.2)
    parts = {'uniform': {'flow': flow}, 'variational': {'flow': flow, 'dequantisation': noise}}
    found = {}
    for name, params in parts.items():
        apply = functools.partial(glow(name, levels).apply, {'params': params}, x)

        @jax.jit
        def bounds(apply=apply):
            draws = jax.vmap(fold_in, in_axes=(None, 0))(keys, jnp.arange(300))
            one = jax.lax.map(lambda draw: apply(draw, method='elbo'), draws)
            many = apply(keys, 3000, method='importance_estimate')
            return one.mean(0), many

        one, found[name] = bounds()
        assert (one < found[name].log_likelihood).all()
    ours, theirs = found.values()
    error = jnp.hypot(ours.standard_error, theirs.standard_error)
    assert (error < 0.2).all()
    assert (jnp.abs(ours.log_likelihood - theirs.log_likelihood) < 4 * error).all()


def test_noise_has_the_density_that_the_bound_says(x64):
    layer, n, levels = DEQUANTISATIONS['variational'](256), 3, 256
    x, keys = images(n).astype(jnp.float64).reshape(n, *SHAPE), example_keys(n)
    variables = moved(start(layer, x, keys))

    def noise(e, x):
        def call(layer):
            return layer._noise(e.reshape(1, *SHAPE), x[None])[0]

        return jax.nn.sigmoid(layer.apply(variables, method=call)).reshape(D)

    z, bound = jax.jit(lambda: layer.apply(variables, x, keys, method='forward_and_bound'))()
    uniform = jnp.stack([jax.random.uniform(key, SHAPE, jnp.float64) for key in keys])
    e = jax.scipy.special.logit(uniform).reshape(n, D)

    @jax.jit
    def oracle(e, x):
        return jax.vmap(noise)(e, x), jnp.linalg.slogdet(jax.vmap(jax.jacfwd(noise))(e, x))[1]

    u, log_slope = oracle(e, x)
    np.testing.assert_allclose(z.reshape(n, D), (x.reshape(n, D) + u) / levels, atol=1e-12)
    expected = log_slope - stats.logistic.logpdf(e).sum(1) - D * np.log(levels)
    np.testing.assert_allclose(bound, expected, rtol=1e-9)
    assert np.abs(bound + D * np.log(levels)).min() > 0.01


def test_extreme_noise_stays_in_its_cell():
    layer = DEQUANTISATIONS['variational'](256)
    x, keys = images(64).reshape(64, *SHAPE), example_keys(64)
    variables = moved(start(layer, x, keys), 9.0)
    z, _ = jax.jit(lambda: layer.apply(variables, x, keys, method='forward_and_bound'))()
    assert float((z * 256 - x).max()) > 0.9999
    np.testing.assert_array_equal(jnp.floor(z * 256), x)
    np.testing.assert_array_equal(layer.inverse(z), x)


def test_samples_are_grey_levels_and_jit_changes_no_bound():
    model, x, keys = glow('variational', couplings=1), images(6), example_keys(6)
    variables = moved(init(model, x), 0.2)
    sample = jax.jit(lambda: model.apply(variables, jax.random.key(5), 40, method='sample'))()
    assert sample.shape == (40, D)
    np.testing.assert_array_equal(sample, np.clip(np.round(sample), 0, 255))
    assert len(np.unique(sample)) > 20
    plain = model.apply(variables, x, keys, method='elbo')
    jitted = jax.jit(lambda: model.apply(variables, x, keys, method='elbo'))()
    np.testing.assert_allclose(jitted, plain, rtol=1e-5)
