"""Masked networks see only what comes before; one pass back; mixtures integrate to one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from flows import MADE, Affine, Autoregressive, MixtureMADE, RationalQuadraticSpline, maf
from flows.mixing import lu
from flows.neural_spline_flow import autoregressive_spline_flow

B, C = 6, 2
NETWORKS = {
    'one layer': MADE(40, 1),
    'three layers': MADE(60, 3),
    'residual': MADE(40, 2, residual=True),
    'fewer units than components': MADE(3, 2),
}


def moved(variables, seed=0, by=0.1):
    """The variables off their start."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + by * rng.standard_normal(leaf.shape), variables)


def rows(D, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((B, D)))


@pytest.mark.parametrize('network', NETWORKS.values(), ids=NETWORKS)
def test_parameters_of_a_component_depend_on_all_before_it_and_on_no_other(network, x64):
    D, x, c = 5, rows(5), rows(C, 1)
    variables = moved(network.init(jax.random.key(0), x, 2, c))

    def outputs(x, c):
        return jnp.stack(network.apply(variables, x, 2, c))

    of_x, of_c = jax.jit(jax.jacrev(outputs, argnums=(0, 1)))(x, c)
    of_x = np.abs(np.stack([of_x[:, b, :, b] for b in range(B)])).max((0, 1))
    of_c = np.abs(np.stack([of_c[:, b, :, b] for b in range(B)])).max((0, 1))
    before = np.tril(np.ones((D, D)), -1)
    np.testing.assert_array_equal(of_x[before == 0], 0)
    if network.width >= D:
        assert (of_x[before == 1] > 0).all()
        assert (of_c > 0).all()


@pytest.mark.parametrize('D', [1, 2, 6])
@pytest.mark.parametrize('network', NETWORKS.values(), ids=NETWORKS)
def test_inverse_evaluates_every_unit_when_it_is_known(network, D, x64):
    layer = Autoregressive(network, RationalQuadraticSpline(3) if D == 6 else Affine())
    x, c = rows(D), rows(C, 1)
    for context in (None, c):
        variables = moved(layer.init(jax.random.key(0), x, context, method='forward_and_log_det'))
        z, log_det = layer.apply(variables, x, context, method='forward_and_log_det')
        back, log_det_back = layer.apply(variables, z, context, method='inverse_and_log_det')
        np.testing.assert_allclose(back, x, atol=1e-8)
        np.testing.assert_allclose(log_det_back, -log_det, atol=1e-7)


@pytest.mark.parametrize('make', [maf, autoregressive_spline_flow], ids=lambda make: make.__name__)
def test_flows_sample_what_they_say(make, x64):
    flow = make(4, 2, MADE(10, 1, residual=True), mixing=lu)
    x = rows(4)
    variables = moved(flow.init(jax.random.key(0), x, method='log_likelihood'))
    samples = flow.apply(variables, jax.random.key(1), 5, method='sample')
    z, _ = flow.apply(variables, samples, method='forward_and_log_det')
    np.testing.assert_allclose(z, flow.base.sample(jax.random.key(1), (5, 4)), atol=1e-4)


def test_mixture_is_that_of_scipy_and_its_samples_follow_it(x64):
    """With one component of x the network is a bias: the mixture is the same for every row."""
    density = MixtureMADE(3, MADE(4, 1))
    variables = moved(density.init(jax.random.key(0), rows(1), method='log_prob'), 2, by=0.4)
    logits, means, log_scales = (
        np.asarray(variables['params']['conditioner']['output_bias']).reshape(3, 3).T
    )
    weights, means = np.exp(logits) / np.exp(logits).sum(), means + np.linspace(-2, 2, 3)

    def cdf(x):
        return (weights * stats.norm.cdf(np.asarray(x)[:, None], means, np.exp(log_scales))).sum(1)

    x = np.linspace(-4, 4, 9)
    pdf = (weights * stats.norm.pdf(x[:, None], means, np.exp(log_scales))).sum(1)
    found = density.apply(variables, jnp.asarray(x)[:, None], method='log_prob')
    np.testing.assert_allclose(found, np.log(pdf), rtol=1e-9)
    draws = density.apply(variables, jax.random.key(0), (4000, 1), method='sample')
    assert stats.kstest(np.asarray(draws)[:, 0], cdf).pvalue > 1e-3


def test_mixture_of_two_components_integrates_to_one_and_samples_in_order():
    density = MixtureMADE(2, MADE(6, 1))
    axis = np.arange(-14, 14, 0.1) + 0.05
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2), jnp.float32)
    variables = moved(density.init(jax.random.key(0), grid[:3], method='log_prob'), 4)
    p = np.exp(density.apply(variables, grid, method='log_prob'))
    np.testing.assert_allclose(p.sum() * 0.01, 1, atol=2e-3)
    draws = np.asarray(density.apply(variables, jax.random.key(0), (4000, 2), method='sample'))
    mean = (np.asarray(grid) * p[:, None]).sum(0) / p.sum()
    spread = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0) - mean) < 4 * spread + 0.02).all()


def test_context_reaches_the_layers_and_the_mixture_of_a_flow(x64):
    flow = maf(3, 1, MADE(8, 1), base=MixtureMADE(2, MADE(8, 1)))
    x, c = rows(3), rows(C, 1)
    keys = jax.random.split(jax.random.key(0), B)
    variables = moved(flow.init(jax.random.key(0), x, keys, 0, c, method='objective'))
    of_c = jax.grad(lambda c: flow.apply(variables, x, context=c, method='log_likelihood').sum())(c)
    assert (np.abs(of_c) > 0).all()
    for part in ('chain', 'base'):
        without = jax.tree_util.tree_map_with_path(
            lambda path, leaf, part=part: (
                0 * leaf if part in str(path) and 'context' in str(path) else leaf
            ),
            variables,
        )
        found = flow.apply(without, x, context=c, method='log_likelihood')
        assert (found != flow.apply(variables, x, context=c, method='log_likelihood')).all()
    assert flow.apply(variables, jax.random.key(1), B, c, method='sample').shape == x.shape
