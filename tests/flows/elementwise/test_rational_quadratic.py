"""Rational-quadratic splines against their formula, its derivative and its inverse, in the bins, at knots, in tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows.elementwise.rational_quadratic import on_interval

BOUND = 3.0
DRAWS = 1_000_000


def raw(rng, shape, bins, scale=1.0, dtype=np.float32):
    """Unconstrained parameters of `on_interval`."""
    return [scale * rng.standard_normal((n, *shape)).astype(dtype) for n in (bins, bins, bins - 1)]


def reference(spline, v):
    """y and dy/dv as the paper writes them, a loop over elements in float64."""
    values, slopes = np.empty(v.shape), np.empty(v.shape)
    for i in np.ndindex(v.shape):
        x, y, d = (np.asarray(part, np.float64)[:, *i] for part in (spline.x, spline.y, spline.d))
        if v[i] < x[0] or v[i] > x[-1]:
            end = 0 if v[i] < x[0] else -1
            values[i], slopes[i] = y[end] + d[end] * (v[i] - x[end]), d[end]
            continue
        k = min(np.searchsorted(x, v[i], side='right') - 1, len(x) - 2)
        width, height = x[k + 1] - x[k], y[k + 1] - y[k]
        s, xi = height / width, (v[i] - x[k]) / width
        below = s + (d[k + 1] + d[k] - 2 * s) * xi * (1 - xi)
        values[i] = y[k] + height * (s * xi**2 + d[k] * xi * (1 - xi)) / below
        above = d[k + 1] * xi**2 + 2 * s * xi * (1 - xi) + d[k] * (1 - xi) ** 2
        slopes[i] = s**2 * above / below**2
    return values, slopes


@pytest.mark.parametrize('bins', [2, 8, 16])
def test_value_and_slope_follow_the_paper(x64, bins):
    rng = np.random.default_rng(bins)
    spline = on_interval(*raw(rng, (40, 5), bins, 2.0, np.float64), BOUND)
    v = rng.uniform(-1.5 * BOUND, 1.5 * BOUND, (40, 5))
    v[0], v[1] = BOUND, -BOUND
    v[2:4] = spline.x[1, 2:4]
    values, slopes = reference(spline, v)
    np.testing.assert_allclose(spline.value(v), values, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(spline.log_slope(v), np.log(slopes), rtol=1e-9, atol=1e-11)
    derivative = jax.grad(lambda v: spline.value(v).sum())(v)
    np.testing.assert_allclose(derivative[4:], slopes[4:], rtol=1e-9)
    np.testing.assert_allclose(spline.solve(values), v, atol=1e-10)


@pytest.mark.parametrize('scale', [1.0, 4.0])
def test_round_trip_in_float32_over_random_points_and_parameters(scale):
    rng = np.random.default_rng(7)
    parameters = raw(rng, (DRAWS, 1), 8, scale)
    v = rng.uniform(-1.2 * BOUND, 1.2 * BOUND, (DRAWS, 1)).astype(np.float32)

    @jax.jit
    def there_and_back(parameters, v):
        spline = on_interval(*parameters, BOUND)
        z, log_det = spline.forward_and_log_det(v)
        back, log_det_back = spline.inverse_and_log_det(z)
        return z, log_det, back, log_det_back, spline.value(back)

    z, log_det, back, log_det_back, again = map(np.asarray, there_and_back(parameters, v))
    assert np.isfinite([z[:, 0], log_det, back[:, 0], log_det_back]).all()
    # Where the slope is s, the rounding of z is a difference in v of 1 / s of it, and the other way round.
    assert np.abs(again - z).max() <= (1e-5 if scale == 1 else 2e-3)
    if scale == 1:
        assert np.median(np.abs(back - v)) <= 1e-6
        assert (np.abs(back - v)[:, 0] * np.minimum(np.exp(log_det), 1)).max() <= 1e-5


def test_zero_parameters_give_the_identity():
    spline = on_interval(*raw(np.random.default_rng(0), (1, 3), 8, 0.0), BOUND)
    v = jnp.linspace(-5, 5, 60).reshape(-1, 3)
    z, log_det = spline.forward_and_log_det(v)
    np.testing.assert_allclose(z, v, atol=1e-6)
    np.testing.assert_allclose(log_det, 0, atol=3e-6)


@pytest.mark.parametrize('where', [-1e30, -BOUND, BOUND, np.nextafter(np.float32(BOUND), 4), 1e30])
def test_all_derivatives_are_finite_at_the_ends_and_in_the_tails(where):
    parameters = raw(np.random.default_rng(1), (4, 3), 8, 3.0)
    v = jnp.full((4, 3), where, jnp.float32)

    def both(parameters, v):
        spline = on_interval(*parameters, BOUND)
        z, log_det = spline.forward_and_log_det(v)
        back, _ = spline.inverse_and_log_det(v)
        return jnp.tanh(z).sum() + log_det.sum() + jnp.tanh(back).sum()

    gradients = jax.grad(both, argnums=(0, 1))(parameters, v)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_slope_is_continuous_across_knots_and_ends(x64):
    spline = on_interval(*raw(np.random.default_rng(2), (1, 9), 6, 2.0, np.float64), BOUND)
    for k in range(7):
        at = spline.x[k]
        left, right = spline.log_slope(at - 1e-12), spline.log_slope(at + 1e-12)
        np.testing.assert_allclose(left, right, atol=1e-5)
        np.testing.assert_allclose(left, jnp.log(spline.d[k]), atol=1e-5)


def test_slopes_integrate_to_the_rise(x64):
    spline = on_interval(*raw(np.random.default_rng(3), (1, 4), 8, 1.0, np.float64), BOUND)
    grid = np.linspace(-BOUND, BOUND, 200_001)[:, None].repeat(4, 1)
    area = np.trapezoid(np.exp(spline.log_slope(grid)), grid, axis=0)
    np.testing.assert_allclose(area, 2 * BOUND, rtol=1e-6)


def test_right_under_jit_at_full_size():
    rng = np.random.default_rng(4)
    spline = on_interval(*raw(rng, (1, 784), 16, 1.5), 6.0)
    v = (4 * rng.standard_normal((128, 784))).astype(np.float32)
    found = jax.jit(lambda v: (spline.value(v), spline.log_slope(v), spline.solve(v)))(v)
    with jax.disable_jit():
        expected = spline.value(v), spline.log_slope(v), spline.solve(v)
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)
