"""Importance-weighted estimates from blocks of draws against the plain formulas, and those of the image flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from flows import ImageFlow, MultiScaleFlow, importance
from flows.image.image_flow import DRAWS
from flows.keys import fold_in, normal
from tests.helpers.convergence_models import example_keys

B = 7


def noise_weights(scale, centre=0.0):
    """log w (n, B) of a block: normal noise."""
    keys = jax.random.split(jax.random.key(1, impl='threefry2x32'), B)
    return lambda block, n: centre + scale * normal(fold_in(keys, block), (n,)).T


@pytest.mark.parametrize('num_samples', [1, 7, 100, 101, 1250])
def test_streamed_blocks_are_the_plain_formula(num_samples):
    weights = noise_weights(1.5)
    found = importance.estimate(weights, num_samples)
    size = min(100, num_samples)
    blocks = [weights(block, size) for block in range(-(-num_samples // size))]
    log_w = np.concatenate(blocks)[:num_samples].astype(np.float64)
    expected = scipy.special.logsumexp(log_w, axis=0) - np.log(num_samples)
    np.testing.assert_allclose(found.log_likelihood, expected, rtol=1e-5, atol=1e-6)
    tenth = num_samples // 10
    if tenth:
        expected = scipy.special.logsumexp(log_w[:tenth], axis=0) - np.log(tenth)
        np.testing.assert_allclose(found.log_likelihood_at_tenth, expected, rtol=1e-5, atol=1e-6)
    else:
        assert found.log_likelihood_at_tenth is None
    w = np.exp(log_w)
    np.testing.assert_allclose(
        found.effective_sample_size, w.sum(0) ** 2 / (w**2).sum(0), rtol=1e-4
    )
    if num_samples == 1:
        assert np.isinf(found.standard_error).all()
    else:
        error = w.std(axis=0, ddof=1) / num_samples**0.5 / w.mean(axis=0)
        np.testing.assert_allclose(found.standard_error, error, rtol=1e-3)


@pytest.mark.parametrize('centre', [-1e4, 1e4])
def test_extreme_log_weights_neither_overflow_nor_vanish(centre):
    found = importance.estimate(noise_weights(1.0, centre), 300)
    np.testing.assert_allclose(found.log_likelihood, centre, rtol=1e-3)
    assert np.isfinite(found.effective_sample_size).all()
    assert np.isfinite(found.standard_error).all()
    dead = importance.estimate(lambda block, n: jnp.full((n, B), -jnp.inf), 300)
    assert np.isneginf(dead.log_likelihood).all()


def test_a_number_of_samples_below_one_is_refused():
    with pytest.raises(ValueError, match='at least 1; got 0'):
        importance.estimate(noise_weights(1.0), 0)


def test_image_flow_tells_how_far_to_trust_its_bound():
    model = ImageFlow(shape=(2, 2, 1), flow=MultiScaleFlow(scales=2, couplings=0))
    x, keys = jnp.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]]), example_keys(2)

    @jax.jit
    def estimate_and_bounds():
        found = model.apply({}, x, keys, 20, method='importance_estimate')
        draws = [fold_in(fold_in(keys, DRAWS), sample) for sample in range(20)]
        return found, jnp.stack([model.apply({}, x, draw, method='elbo') for draw in draws])

    found, bounds = estimate_and_bounds()
    w = np.exp(bounds)
    np.testing.assert_allclose(found.log_likelihood, np.log(w.mean(0)), rtol=1e-5)
    np.testing.assert_allclose(found.log_likelihood_at_tenth, np.log(w[:2].mean(0)), rtol=1e-5)
    size = w.sum(0) ** 2 / (w**2).sum(0)
    np.testing.assert_allclose(found.effective_sample_size, size, rtol=1e-4)
    np.testing.assert_allclose(found.standard_error, np.sqrt((20 / size - 1) / 19), rtol=1e-3)
    with pytest.raises(ValueError, match="Unknown proposal 'refined': choose one of posterior"):
        model.apply({}, x, keys, 2, 'refined', method='importance_estimate')
