"""Inpainting as in the NICE paper: observed pixels are untouched, the likelihood rises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows import MLP, NICE
from train import data
from train.data import catalogue
from train.data.preprocessing import Preprocessing
from train.diagnostics import inpaint
from train.errors import UserError
from train.figures import plots

SHAPE = (8, 8, 1)


def key(seed=0):
    return jax.random.key(seed, impl='threefry2x32')


def correlated(d=6, noise=0.05):
    """Precision of a Gaussian around 0.5 whose neighbouring pixels agree."""
    positions = np.arange(d)
    covariance = 0.02 * np.exp(-np.abs(positions[:, None] - positions) / 2) + noise**2 * np.eye(d)
    return jnp.asarray(np.linalg.inv(covariance), jnp.float32)


def gaussian(precision):
    return lambda t: -0.5 * jnp.einsum('nd,de,ne->n', t - 0.5, precision, t - 0.5)


def images(n=5, d=6):
    return jnp.asarray(np.random.default_rng(0).random((n, d)), jnp.float32)


HIDDEN = jnp.asarray(np.arange(6) >= 3)[None, :]


def test_steps_are_those_of_the_paper():
    assert [inpaint.step_size(i) for i in (0, 100, 900)] == [0.1, 0.05, 0.01]


def test_observed_pixels_are_unchanged_bit_for_bit_and_hidden_ones_stay_in_range():
    hidden = jnp.broadcast_to(HIDDEN, (5, 6))
    start, found = inpaint.inpaint(gaussian(correlated()), images(), hidden, key(), 50)
    for t in (start, found):
        np.testing.assert_array_equal(np.asarray(t)[:, :3], np.asarray(images())[:, :3])
    completed = np.asarray(found)[:, 3:]
    assert (completed.min() >= 0, completed.max() <= 1) == (True, True)
    assert (completed != np.asarray(start)[:, 3:]).any()


def test_one_step_is_the_published_update_with_each_image_s_own_gradient():
    """The authors' script followed the mean over a batch, and so took steps a hundredth as long."""
    log_density = gaussian(correlated())
    hidden = jnp.broadcast_to(HIDDEN, (5, 6))
    start, found = inpaint.inpaint(log_density, images(), hidden, key(), 1)
    gradient = -(start - 0.5) @ correlated()
    noise = jax.random.normal(
        jax.random.fold_in(jax.random.fold_in(key(), inpaint.NOISE), 0), (5, 6)
    )
    moved = np.clip(start + 0.1 * (gradient + noise), 0, 1)
    np.testing.assert_allclose(found[:, 3:], moved[:, 3:], atol=1e-5)


def test_ten_masks_of_the_published_shapes():
    found = inpaint.masks((28, 28, 1), key())
    share = {name: mask.mean() for name, mask in found.items()}
    assert len(found) == 10
    halves = ['top half', 'bottom half', 'even pixels', 'odd pixels', 'left half', 'right half']
    assert [share[name] for name in [*halves, 'middle rows', 'middle columns']] == [0.5] * 8
    assert share['three quarters at random'] == pytest.approx(0.75, abs=0.07)
    assert share['nine tenths at random'] == pytest.approx(0.9, abs=0.05)
    assert np.flatnonzero(found['middle rows'].any((1, 2))).tolist() == list(range(7, 21))
    assert np.flatnonzero(found['middle columns'].any((0, 2))).tolist() == list(range(7, 21))
    assert found['even pixels'].reshape(-1)[:4].tolist() == [True, False, True, False]
    coloured = inpaint.masks((32, 32, 3), key())
    assert all((mask == mask[:, :, :1]).all() for mask in coloured.values())


@pytest.fixture(scope='module')
def trained():
    """A NICE whose scales follow the digits, by a few steps of gradient ascent."""
    config = catalogue.config_of(
        'digits', preprocessing='mean', flip=False, symmetric_range=False, logit_lambda=1e-6
    )
    digits = data.load(config)
    source = digits.source('train')
    preprocessing = Preprocessing.fit(config, digits.description, source)
    model = NICE(conditioner=MLP(1, 32))
    raw = source.gather(np.arange(256))
    t = preprocessing.encode(raw, jax.random.split(key(1), 256), False)
    x, _ = preprocessing.forward_and_log_det(t)
    variables = model.init(key(), x, method='log_likelihood')

    @jax.jit
    def step(variables):
        gradient = jax.grad(lambda v: -model.apply(v, x, None, 1, method='log_likelihood').mean())(
            variables
        )
        return jax.tree.map(lambda v, g: v - 0.01 * g, variables, gradient)

    for _ in range(100):
        variables = step(variables)
    test = data.load(catalogue.config_of('digits')).source('test').gather(np.arange(10))
    return model, variables, preprocessing, test


def test_completed_digits_are_likelier_under_every_mask(trained):
    found = inpaint.complete(*trained, SHAPE, key(), 200)
    assert found['completed'].shape == (10, 10, 64)
    assert (found['after'].mean(1) > found['before'].mean(1) + 1).all()
    hidden = found['hidden'].reshape(10, 1, 64)
    observed = np.broadcast_to(~hidden, found['images'].shape)
    np.testing.assert_array_equal(found['completed'][observed], found['images'][observed])
    assert len({image.tobytes() for image in found['images'][:, 0]}) == 1


def test_no_steps_leave_hidden_pixels_at_their_random_start(trained):
    model, variables, preprocessing, test = trained
    found = inpaint.complete(model, variables, preprocessing, test, SHAPE, key(), 0)
    np.testing.assert_array_equal(found['start'], found['completed'])
    np.testing.assert_array_equal(found['before'], found['after'])
    hidden = np.broadcast_to(found['hidden'].reshape(10, 1, 64), (10, 10, 64))
    assert abs(found['start'][hidden].mean() - 0.5) < 0.03


def test_ten_masks_on_ten_digits_are_one_picture(trained):
    found = inpaint.complete(*trained, SHAPE, key(), 1)
    panel = inpaint.panel(found, SHAPE)
    assert panel.shape == (200, *SHAPE)
    covered = panel.reshape(10, 2, 10, *SHAPE)[0, 0, 0]
    assert (covered[:4] == 0.5).all()
    np.testing.assert_array_equal(panel.reshape(10, 2, 10, 64)[:, 1], found['completed'])
    assert plots.image_grid(panel, 10).startswith(b'\x89PNG')


def test_bounds_and_other_data_are_refused(trained):
    class Bound:
        exact = False

    _, variables, preprocessing, test = trained
    with pytest.raises(UserError, match='Bound is a bound: use a run of a flow'):
        inpaint.complete(Bound(), variables, preprocessing, test, SHAPE, key(), 1)
    with pytest.raises(UserError, match=r'needs images; found data of shape \(2,\)'):
        inpaint.complete(trained[0], variables, preprocessing, test, (2,), key(), 1)


def test_spectrum_is_a_picture_of_sorted_scales():
    assert plots.spectrum(np.exp(-np.arange(5.0))).startswith(b'\x89PNG')
