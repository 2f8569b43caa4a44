"""Bijectors of the preprocessing: inverses, true log-determinants, accuracy at the edges."""

import decimal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.data.preprocessing.bijectors import ZCA, Centre, Logit, Standardise, Symmetric


def exact_logit(t, alpha):
    """logit(alpha + (1 - 2 alpha) t) and its log-derivative, to 50 digits."""
    with decimal.localcontext(prec=50):
        t, alpha = decimal.Decimal(float(t)), decimal.Decimal(alpha)
        s = alpha + (1 - 2 * alpha) * t
        return float((s / (1 - s)).ln()), float(((1 - 2 * alpha) / (s * (1 - s))).ln())


@pytest.mark.parametrize('alpha', [1e-6, 0.05])
@pytest.mark.parametrize('x64_enabled', [False, True])
def test_logit_is_accurate_to_the_edges_of_the_interval(alpha, x64_enabled):
    t = np.array([2**-24, 1e-5, 0.1, 0.5, 0.9, 1 - 2**-17, 1 - 2**-22, 1 - 2**-24], np.float32)
    with jax.enable_x64(x64_enabled):
        dtype = jnp.float64 if x64_enabled else jnp.float32
        y, log_det = Logit(alpha).forward_and_log_det(jnp.asarray(t, dtype)[:, None])
    expected_y, expected_log_det = np.array([exact_logit(value, alpha) for value in t]).T
    tolerance = 1e-14 if x64_enabled else 3e-7
    np.testing.assert_allclose(y[:, 0], expected_y, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_det, expected_log_det, rtol=tolerance, atol=tolerance)


def whitening():
    root = jnp.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]])
    log_det = -jnp.linalg.slogdet(root)[1]
    return ZCA(jnp.array([0.1, 0.3, -2.0]), jnp.linalg.inv(root), root, log_det)


BIJECTORS = {
    'logit 1e-6': lambda: Logit(1e-6),
    'logit 0.05': lambda: Logit(0.05),
    'standardise': lambda: Standardise(jnp.array([0.1, 0.3, -2.0]), jnp.array([0.5, 2.0, 1e-3])),
    'symmetric': Symmetric,
    'mean': lambda: Centre(jnp.array([0.1, 0.3, -2.0])),
    'zca': whitening,
}


@pytest.mark.usefixtures('x64')
@pytest.mark.parametrize('name', BIJECTORS)
def test_bijector_inverts_and_its_log_det_is_that_of_autodiff(name):
    bijector = BIJECTORS[name]()
    t = jax.random.uniform(jax.random.key(0), (7, 3), minval=0.01, maxval=0.99)
    y, log_det = bijector.forward_and_log_det(t)
    back, inverse_log_det = bijector.inverse_and_log_det(y)
    np.testing.assert_allclose(back, t, atol=1e-12)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-9)
    jacobians = jax.vmap(jax.jacobian(lambda row: bijector.forward_and_log_det(row[None])[0][0]))(t)
    np.testing.assert_allclose(log_det, jnp.linalg.slogdet(jacobians)[1], atol=1e-10)


@pytest.mark.parametrize('name', BIJECTORS)
def test_bijector_keeps_float32(name):
    y, log_det = BIJECTORS[name]().forward_and_log_det(jnp.full((2, 3), 0.25, jnp.float32))
    assert (y.dtype, log_det.dtype, log_det.shape) == (jnp.float32, jnp.float32, (2,))


def test_logit_inverse_survives_what_a_model_may_sample():
    t, log_det = Logit(1e-6).inverse_and_log_det(jnp.array([[-1e4, 0.0, 1e4]]))
    np.testing.assert_allclose(t, [[0, 0.5, 1]], atol=2e-6)
    assert np.isfinite(log_det).all()
