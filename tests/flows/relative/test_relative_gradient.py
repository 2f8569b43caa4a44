"""The relative gradient against autodiff, the Gaussian maximum likelihood and affine maps."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import (
    Gaussian,
    MLPFlow,
    RelativeAffine,
    SmoothLeakyReLU,
    ordinary_affine,
    relative_affine,
)
from flows.relative.relative_affine import relative_gaussian


def matrix(rng, D):
    """A random square matrix with singular values in [0.1, 10]."""
    U, V = (np.linalg.qr(rng.standard_normal((D, D)))[0] for _ in range(2))
    return U * 10 ** rng.uniform(-1, 1, D) @ V


def layers(rng, D, depth, bias):
    """Parameters of an MLPFlow with well spread matrices and, with `bias`, biases off zero."""

    def layer():
        return {'W': matrix(rng, D)} | ({'b': rng.standard_normal(D)} if bias else {})

    return {'params': {f'affine_{index}': layer() for index in range(depth)}}


def mean_nll(model, variables, x):
    return model.apply(variables, x, None, 0, method='objective')['loss'].mean()


def metric_times(gradient, layer):
    """M M^T G by numpy for one layer, M = [[W, 0], [b, 1]] and G the ordinary gradient of [W; b]."""
    W, D = layer['W'], len(layer['W'])
    if 'b' not in layer:
        return {'W': W @ W.T @ gradient['W']}
    M = np.block([[W, np.zeros((D, 1))], [layer['b'][None], np.ones((1, 1))]])
    product = M @ M.T @ np.vstack([gradient['W'], gradient['b'][None]])
    return {'W': product[:D], 'b': product[D]}


@settings(derandomize=True, deadline=None, max_examples=10, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    D=st.integers(1, 8),
    depth=st.integers(1, 3),
    batch=st.integers(1, 9),
    bias=st.booleans(),
)
def test_backward_pass_is_the_metric_times_the_full_ordinary_gradient(seed, D, depth, batch, bias):
    rng = np.random.default_rng(seed)
    variables, x = layers(rng, D, depth, bias), rng.standard_normal((batch, D))
    with jax.enable_x64(True):
        relative, ordinary = (
            jax.device_get(jax.jit(jax.grad(partial(mean_nll, model)))(variables, x)['params'])
            for model in (
                MLPFlow(
                    num_layers=depth,
                    activation=SmoothLeakyReLU(0.3),
                    layer=RelativeAffine(bias, rule),
                )
                for rule in ('relative', 'ordinary')
            )
        )
    for name, layer in variables['params'].items():
        expected = metric_times(ordinary[name], layer)
        largest = max(abs(leaf).max() for leaf in expected.values())
        for leaf, value in expected.items():
            assert abs(relative[name][leaf] - value).max() <= 1e-12 * largest, (name, leaf)


def test_ordinary_rule_is_autodiff_of_the_whole_jacobian(x64):
    rng = np.random.default_rng(0)
    variables, x = layers(rng, 4, 2, True), rng.standard_normal((3, 4))
    model = MLPFlow(layer=RelativeAffine(gradient='ordinary'))

    def nll(variables):
        def z(row):
            return model.apply(variables, row[None], method='forward_and_log_det')[0][0]

        def log_density(row):
            jacobian = jax.jacfwd(z)(row)
            gaussian = -0.5 * (z(row) ** 2 + jnp.log(2 * jnp.pi)).sum()
            return gaussian + jnp.linalg.slogdet(jacobian)[1]

        return -jax.vmap(log_density)(x).mean()

    expected = jax.jit(jax.grad(nll))(variables)
    found = jax.grad(mean_nll, argnums=1)(model, variables, x)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), found, expected
    )


def test_the_gradient_below_the_layer_is_the_ordinary_one(x64):
    rng = np.random.default_rng(0)
    x, W, b = rng.standard_normal((5, 3)), matrix(rng, 3), rng.standard_normal(3)

    def value(affine, x):
        y, log_det = affine(x, W, b)
        return jnp.sin(y).sum() + 2 * log_det.sum()

    relative, ordinary = (
        jax.grad(value, argnums=1)(affine, x) for affine in (relative_affine, ordinary_affine)
    )
    np.testing.assert_allclose(relative, ordinary, rtol=1e-12)


@pytest.mark.parametrize('bias', [True, False])
def test_a_layer_together_with_the_gaussian_behind_it_has_the_gradients_of_both(bias, x64):
    rng = np.random.default_rng(4)
    x, W = rng.standard_normal((5, 3)), matrix(rng, 3)
    b = rng.standard_normal(3) if bias else None
    weights = rng.standard_normal((2, 5))

    def apart(x, W, b):
        y, log_det = relative_affine(x, W, b)
        return Gaussian().log_prob(y), log_det

    def value(function, *arguments):
        log_prob, log_det = function(*arguments)
        return weights[0] @ log_prob + weights[1] @ log_det

    found, expected = (
        jax.value_and_grad(value, argnums=(1, 2, 3) if bias else (1, 2))(function, x, W, b)
        for function in (relative_gaussian, apart)
    )
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-11), found, expected)


def descend(model, variables, x, rate, steps, correct=lambda gradient, variables: gradient):
    """Plain gradient descent on the mean negative log-likelihood of all of x."""

    def step(variables, _):
        gradient = correct(jax.grad(mean_nll, argnums=1)(model, variables, x), variables)
        return jax.tree.map(lambda p, g: p - rate * g, variables, gradient), None

    return jax.jit(lambda start: jax.lax.scan(step, start, None, steps)[0])(variables)


def without_pull_of_log_det_on_bias(gradient, variables):
    """The published update: s = -1 here, and `s b` is left out of db."""
    layer = gradient['params']['affine_0']
    bias = variables['params']['affine_0']['b']
    return {'params': {'affine_0': {'W': layer['W'], 'b': layer['b'] + bias}}}


def test_one_layer_reaches_the_gaussian_maximum_likelihood_and_the_published_update_does_not(x64):
    rng = np.random.default_rng(1)
    D, model = 3, MLPFlow(num_layers=1)
    x = rng.standard_normal((400, D)) @ matrix(rng, D) + rng.standard_normal(D)
    x /= x.std()
    mu, sigma = x.mean(0), np.cov(x.T, bias=True)
    optimum = 0.5 * (np.linalg.slogdet(2 * np.pi * sigma)[1] + D)
    gap = 0.5 * np.log1p(mu @ np.linalg.solve(sigma, mu) / 4)
    assert gap > 0.05

    start = layers(rng, D, 1, True)
    exact = descend(model, start, x, 0.1, 4000)
    np.testing.assert_allclose(mean_nll(model, exact, x), optimum, atol=1e-6)
    published = descend(model, start, x, 0.1, 4000, without_pull_of_log_det_on_bias)
    np.testing.assert_allclose(mean_nll(model, published, x), optimum + gap, atol=1e-6)


def test_descent_is_equivariant_under_affine_maps_of_the_data(x64):
    rng = np.random.default_rng(2)
    D, model = 4, MLPFlow(activation=SmoothLeakyReLU(0.3))
    x, A, c = rng.standard_normal((30, D)), matrix(rng, D), rng.standard_normal(D)
    start = model.init(jax.random.key(0), x, None, 0, method='objective')

    def mapped(variables):
        """Parameters that give at x A + c the latents that `variables` give at x."""
        first = variables['params']['affine_0']
        W = np.linalg.solve(A, first['W'])
        return {'params': variables['params'] | {'affine_0': {'W': W, 'b': first['b'] - c @ W}}}

    def latents(variables, x):
        return model.apply(variables, x, method='forward_and_log_det')[0]

    end = descend(model, start, x, 0.02, 200)
    mapped_end = descend(model, mapped(start), x @ A + c, 0.02, 200)
    assert abs(latents(end, x) - latents(start, x)).max() > 0.1
    np.testing.assert_allclose(latents(mapped_end, x @ A + c), latents(end, x), atol=1e-10)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), mapped_end, mapped(end))


@pytest.fixture
def problem(x64):
    """A two-layer flow, its gradient as a function, eight parameter sets and a batch of 16."""
    rng = np.random.default_rng(3)
    model = MLPFlow()
    sets = [layers(rng, 3, 2, True) for _ in range(8)]

    return jax.jit(jax.grad(partial(mean_nll, model))), sets, rng.standard_normal((16, 3))


def assert_trees_close(found, expected):
    def check(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)

    jax.tree.map(check, found, expected)


def stack(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def test_vmap_over_parameters_equals_a_loop(problem):
    gradient, sets, x = problem
    found = jax.vmap(gradient, in_axes=(0, None))(stack(sets), x)
    assert_trees_close(found, stack([gradient(variables, x) for variables in sets]))


def test_vmap_over_examples_inside_the_loss_equals_one_batch(problem):
    gradient, sets, x = problem

    def loss(variables):
        return jax.vmap(lambda row: mean_nll(MLPFlow(), variables, row[None]))(x).mean()

    assert_trees_close(jax.jit(jax.grad(loss))(sets[0]), gradient(sets[0], x))


def test_scan_equals_a_loop(problem):
    gradient, sets, x = problem

    def step(variables, rows):
        return jax.tree.map(lambda p, g: p - 0.01 * g, variables, gradient(variables, rows)), None

    batches = jnp.asarray(x).reshape(4, 4, 3)
    start = jax.tree.map(jnp.asarray, sets[0])
    expected = start
    for rows in batches:
        expected = step(expected, rows)[0]
    assert_trees_close(jax.lax.scan(step, start, batches)[0], expected)


def test_mean_over_eight_devices_is_the_gradient_of_the_whole_batch(problem):
    gradient, sets, x = problem

    def device(variables, rows):
        return jax.lax.pmean(gradient(variables, rows), 'batch')

    found = jax.pmap(device, axis_name='batch')(stack([sets[0]] * 8), x.reshape(8, 2, 3))
    assert_trees_close(jax.tree.map(lambda leaf: leaf[0], found), gradient(sets[0], x))


@pytest.mark.parametrize(
    'optimiser',
    [optax.sgd(0.01), optax.sgd(0.003, momentum=0.9), optax.adam(0.02), optax.rmsprop(0.01)],
    ids=['sgd', 'momentum', 'adam', 'rmsprop'],
)
def test_every_optimiser_lowers_the_loss(optimiser):
    x = 3 * jax.random.normal(jax.random.key(0), (64, 5)) + 2
    model = MLPFlow(activation=SmoothLeakyReLU(0.3))
    variables = model.init(jax.random.key(1), x, None, 0, method='objective')

    def step(state, _):
        variables, moments = state
        gradient = jax.grad(mean_nll, argnums=1)(model, variables, x)
        updates, moments = optimiser.update(gradient, moments, variables)
        return (optax.apply_updates(variables, updates), moments), None

    (trained, _), _ = jax.lax.scan(step, (variables, optimiser.init(variables)), None, 50)
    assert mean_nll(model, trained, x) < mean_nll(model, variables, x) - 1


def test_layer_serves_in_a_model_of_ones_own(x64):
    class Encoder(nn.Module):
        @nn.compact
        def __call__(self, x):
            y, log_det = RelativeAffine()(nn.Dense(3, param_dtype=jnp.float64)(x))
            return jnp.tanh(y).sum() + log_det.mean()

    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3))
    variables = Encoder().init(jax.random.key(0), x)
    gradient = jax.grad(lambda v: Encoder().apply(v, x))(variables)['params']
    W = variables['params']['RelativeAffine_0']['W']
    dense = variables['params']['Dense_0']
    h = x @ dense['kernel']

    def by_hand(h, W):
        return jnp.tanh(h @ W).sum() + jnp.linalg.slogdet(W)[1]

    np.testing.assert_allclose(
        gradient['Dense_0']['kernel'], x.T @ jax.grad(by_hand)(h, W), rtol=1e-10
    )
    np.testing.assert_allclose(
        gradient['RelativeAffine_0']['W'], W @ W.T @ jax.grad(by_hand, 1)(h, W), rtol=1e-10
    )


def test_forward_mode_is_refused_for_the_relative_rule_alone():
    x, W, b = jnp.ones((2, 3)), jnp.eye(3), jnp.zeros(3)
    with pytest.raises(TypeError, match='forward-mode'):
        jax.jacfwd(lambda W: relative_affine(x, W, b)[0])(W)
    assert jax.jacfwd(lambda W: ordinary_affine(x, W, b)[0])(W).shape == (2, 3, 3, 3)


def test_half_precision_input_keeps_its_type_and_log_det_stays_single():
    x = jnp.ones((2, 3), jnp.bfloat16)
    layer = RelativeAffine()
    variables = layer.init(jax.random.key(0), x)
    y, log_det = layer.apply(variables, x)
    assert (y.dtype, log_det.dtype) == (jnp.bfloat16, jnp.float32)

    def value(variables):
        y, log_det = layer.apply(variables, x)
        return y.astype(jnp.float32).sum() + log_det.sum()

    gradient = jax.grad(value)(variables)['params']
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype('float32')}


def test_layer_names_the_rule_that_an_argument_breaks():
    with pytest.raises(ValueError, match='relative, equivariant, ordinary'):
        RelativeAffine(gradient='natural')
    with pytest.raises(ValueError, match=r'shape \(B, D\), got \(3,\)'):
        RelativeAffine().init(jax.random.key(0), jnp.ones(3))


def test_orthogonal_start():
    variables = RelativeAffine().init(jax.random.key(0), jnp.ones((1, 50)))['params']
    np.testing.assert_allclose(variables['W'].T @ variables['W'], np.eye(50), atol=1e-5)
    assert not variables['b'].any()
