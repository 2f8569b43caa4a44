"""DRAW against a plain loop over its equations, its reductions and samples, and attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows.keys import fold_in, normal
from tests.helpers.convergence_models import example_keys, init, moved, prepared
from vaes.attention import filterbank, window
from vaes.draw import DRAW
from vaes.latent_variable_model import LATENT

SHAPE = (3, 2, 1)
VARIANTS = {
    'draw': {},
    'draw2': {'read_error': False},
    'draw3': {'accumulate': False},
    'draw4': {'read_error': False, 'accumulate': False},
    'paper': {'observation_layer': False},
    'attention': {'observation_layer': False, 'attention': 2},
}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def dense(params, x):
    return x @ params['kernel'] + params['bias']


def lstm(params, state, x):
    h, cell = state
    i, f, g, o = np.split(dense(params['input'], x) + dense(params['recurrent'], h), 4, axis=-1)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def loop_filterbank(parameters, n, height, width):
    """F_Y (n, height), F_X (n, width) and gamma of one example, by the formulas with loops."""
    bounded = 6 * np.tanh(parameters[2:] / 6)
    variance, stride, gamma = np.exp(bounded)
    stride *= (max(height, width) - 1) / max(n - 1, 1)
    filters = []
    for centre, length in ((parameters[1], height), (parameters[0], width)):
        g, rows = (length + 1) / 2 * (centre + 1), []
        for i in range(1, n + 1):
            mu = g + (i - n / 2 - 0.5) * stride
            row = [np.exp(-((a - mu) ** 2) / (2 * variance)) for a in range(1, length + 1)]
            rows.append(np.array(row) / sum(row))
        filters.append(np.array(rows))
    return *filters, gamma


def loop_attend(params, h_dec, images, n, write):
    """Read glimpses of images, or write patches to images, one example at a time."""
    height, width, _ = SHAPE
    out = []
    for row, image in zip(dense(params, h_dec), images, strict=True):
        f_y, f_x, gamma = loop_filterbank(row, n, height, width)
        if write:
            out.append((f_y.T @ image.reshape(n, n) @ f_x / gamma).ravel())
        else:
            out.append((gamma * f_y @ image.reshape(height, width) @ f_x.T).ravel())
    return np.array(out)


def loop_draw(model, params, x, noise):
    """Logits and KL of DRAW by its equations, step by step."""

    def o(canvas):
        return dense(params['observation'], canvas) if model.observation_layer else canvas

    canvas = np.zeros_like(x)
    dec = enc = (np.zeros((len(x), model.hidden)),) * 2
    kl = 0.0
    for t in range(model.num_steps):
        seen = [x, x - sigmoid(o(canvas))] if model.read_error else [x]
        if model.attention:
            n = model.attention
            seen = [loop_attend(params['read_window'], dec[0], v, n, write=False) for v in seen]
        enc = lstm(params['encoder'], enc, np.concatenate([*seen, dec[0]], axis=1))
        mean = dense(params['head']['Dense_0'], enc[0])
        log_variance = 10 * np.tanh(dense(params['head']['Dense_1'], enc[0]) / 10)
        kl = kl + 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1)
        dec = lstm(params['decoder'], dec, mean + np.exp(0.5 * log_variance) * noise[t])
        written = dense(params['patch'], dec[0])
        if model.attention:
            written = loop_attend(params['write_window'], dec[0], written, n, write=True)
        canvas = canvas + written if model.accumulate else written
    return o(canvas), kl


@pytest.mark.parametrize('name', VARIANTS)
def test_steps_are_those_of_a_plain_loop(name, x64):
    model = DRAW(shape=SHAPE, hidden=4, latent_dim=2, num_steps=3, **VARIANTS[name])
    x = jax.random.bernoulli(jax.random.key(0), 0.5, (5, 6)).astype(jnp.float64)
    keys = example_keys(5)
    variables = moved(init(model, x))
    bound_terms = jax.jit(functools.partial(model.apply, method='bound_terms'))
    terms = bound_terms(variables, x, keys)
    noise = normal(fold_in(keys, LATENT), (3, 2), jnp.float64)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables['params'])
    x, noise = np.asarray(x), np.moveaxis(np.asarray(noise), 0, 1)
    logits, kl = loop_draw(model, params, x, noise)
    error = -(x * np.log(sigmoid(logits)) + (1 - x) * np.log(sigmoid(-logits))).sum(axis=1)
    np.testing.assert_allclose(terms['kl'], kl, rtol=1e-6)
    np.testing.assert_allclose(terms['reconstruction_error'], error, rtol=1e-6)


def test_one_step_without_attention_is_a_vae(x64):
    # With one step q(z | x) and p(x | z) are functions of x and of z alone.
    model = DRAW(shape=SHAPE, hidden=4, latent_dim=2, num_steps=1, observation_layer=False)
    x = jax.random.bernoulli(jax.random.key(0), 0.5, (5, 6)).astype(jnp.float64)
    variables = moved(init(model, x))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables['params'])
    zeros = (np.zeros((5, 4)),) * 2
    seen = np.concatenate([x, x - 0.5, zeros[0]], axis=1)
    h, _ = lstm(params['encoder'], zeros, seen)
    mean, a = dense(params['head']['Dense_0'], h), dense(params['head']['Dense_1'], h)
    std = np.exp(5 * np.tanh(a / 10))
    noise = normal(fold_in(example_keys(5), LATENT), (1, 2), jnp.float64)[:, 0]
    z = mean + std * np.asarray(noise)
    logits = dense(params['patch'], lstm(params['decoder'], zeros, z)[0])
    kl = 0.5 * (std**2 + mean**2 - 1 - 2 * np.log(std)).sum(axis=1)
    log_p = (np.asarray(x) * logits - np.logaddexp(0, logits)).sum(axis=1)
    elbo = model.apply(variables, x, example_keys(5), method='elbo')
    np.testing.assert_allclose(elbo, log_p - kl, rtol=1e-6)


@pytest.mark.parametrize('accumulate', [True, False])
def test_each_step_of_a_sample_has_its_own_latent(accumulate):
    model = DRAW(shape=SHAPE, hidden=4, latent_dim=2, num_steps=3, accumulate=accumulate)
    variables = moved(init(model, jnp.ones((2, 6))), 1.0)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables['params'])

    def draw(variables):
        z = model.apply(variables, jax.random.key(5), 7, method='sample_prior')
        return z, model.apply(variables, z, method='decode_mean')

    z, mean = jax.jit(draw)(variables)
    assert z.shape == (7, 6)
    assert len(np.unique(np.asarray(z).reshape(7, 3, 2)[0], axis=0)) == 3
    dec, canvas = (np.zeros((7, 4)),) * 2, 0.0
    for t in range(3):
        dec = lstm(params['decoder'], dec, np.asarray(z, np.float64)[:, 2 * t : 2 * t + 2])
        canvas = dense(params['patch'], dec[0]) + (canvas if accumulate else 0.0)
    expected = sigmoid(dense(params['observation'], canvas))
    np.testing.assert_allclose(mean, expected, rtol=1e-4)


def test_residual_vanishes_when_the_canvas_explains_the_image():
    model = DRAW(shape=SHAPE, hidden=4, latent_dim=2)
    x = jnp.array([[0.0, 1.0, 1.0, 0.0, 1.0, 0.0]])
    variables = init(model, x)
    observation = {'kernel': jnp.eye(6), 'bias': jnp.zeros(6)}
    variables = {'params': {**variables['params'], 'observation': observation}}
    (residual,) = model.apply(variables, x, 200 * x - 100, jnp.zeros((1, 4)), method='_read')
    np.testing.assert_allclose(residual, jnp.zeros((1, 6)), atol=1e-6)


PARAMETERS = jnp.array([[0.0, 0.0, 0.0, 0.0, 0.0], [0.4, -0.2, -1.0, -1.5, 0.7], [3, -9, -5, 2, 1]])


@pytest.mark.parametrize('size', [1, 4])
def test_rows_of_the_filterbank_sum_to_one_even_outside_the_image(size):
    view = window(PARAMETERS, size, 6, 9)
    assert view.f_y.shape == (3, size, 6)
    assert view.f_x.shape == (3, size, 9)
    for filters in (view.f_y, view.f_x):
        np.testing.assert_allclose(filters.sum(axis=-1), 1, rtol=1e-5)


def test_filters_are_centred_on_the_window():
    # Filters far inside a long axis have their mean position at mu_i, whose mean is g.
    centre, stride = jnp.array([30.5, 21.0]), jnp.array([4.0, 3.0])
    filters = filterbank(centre, stride, jnp.zeros(2), 5, 60)
    mu = (filters * jnp.arange(1, 61)[None, None, :]).sum(axis=-1)
    np.testing.assert_allclose(mu.mean(axis=1), centre, rtol=1e-5)
    np.testing.assert_allclose(
        jnp.diff(mu, axis=1), jnp.repeat(stride[:, None], 4, axis=1), rtol=1e-4
    )


def test_default_window_covers_the_image_evenly():
    view = window(jnp.zeros((1, 5)), 9, 9, 9)
    np.testing.assert_array_equal(view.f_x.argmax(axis=-1)[0], jnp.arange(9))
    np.testing.assert_allclose(view.f_x[0], view.f_x[0, ::-1, ::-1], atol=1e-6)


def test_window_of_a_batch_is_that_of_each_example():
    images = jax.random.normal(jax.random.key(0), (3, 6, 9, 2))
    patches = jax.random.normal(jax.random.key(1), (3, 4, 4, 2))
    view = window(PARAMETERS, 4, 6, 9)
    for i in range(3):
        alone = window(PARAMETERS[i : i + 1], 4, 6, 9)
        np.testing.assert_allclose(
            alone.read(images[i : i + 1])[0], view.read(images)[i], rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            alone.write(patches[i : i + 1])[0], view.write(patches)[i], rtol=1e-4, atol=1e-6
        )


def test_gradients_through_the_window_by_finite_differences(x64):
    image = jax.random.normal(jax.random.key(0), (2, 6, 9, 1), jnp.float64)
    patch = jax.random.normal(jax.random.key(1), (2, 3, 3, 1), jnp.float64)
    weights = jax.random.normal(jax.random.key(2), (2, 6, 9, 1), jnp.float64)

    def value(parameters):
        view = window(parameters, 3, 6, 9)
        return (view.read(image) * patch).sum() + (view.write(patch) * weights).sum()

    at = PARAMETERS[:2].astype(jnp.float64)
    gradient = jax.jit(jax.grad(value))(at)
    value, step = jax.jit(value), 1e-5
    for index in np.ndindex(*at.shape):
        up, down = value(at.at[index].add(step)), value(at.at[index].add(-step))
        expected = float(up - down) / (2 * step)
        assert float(gradient[index]) == pytest.approx(expected, rel=1e-6), index
        assert gradient[index] != 0


def test_read_and_write_have_windows_of_their_own():
    model, variables, x = prepared('draw4_attention')

    def loss(params):
        return -model.apply({'params': params}, x, example_keys(6), method='elbo').sum()

    gradient = jax.jit(jax.grad(loss))(variables['params'])
    for name in ('read_window', 'write_window'):
        # Every one of the five numbers steers something.
        assert bool((jnp.abs(gradient[name]['bias']) > 0).all()), name
