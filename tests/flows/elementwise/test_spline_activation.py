"""Learnt activations: where they start, and what reaches every one of their parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from flows import LeakyTanh, MLPFlow, RelativeAffine, SmoothLeakyReLU, SplineActivation

N, D = 500, 3


def rows():
    return jnp.asarray(
        [2.0, 0.5, 30.0] * np.random.default_rng(0).standard_normal((N, D)) + [0, 1, 5]
    )


@pytest.mark.parametrize('start', [None, SmoothLeakyReLU(0.2), LeakyTanh()], ids=repr)
def test_first_function_is_that_of_the_start_whatever_the_scale_of_a_unit(x64, start):
    y = rows()
    module = SplineActivation(num_bins=32, start=start)
    variables = module.init(jax.random.key(0), y, method='forward_and_log_det')
    z, _ = module.apply(variables, y, method='forward_and_log_det')
    expected = y if start is None else start.value(y)
    error = np.abs(z - expected).max(0)
    assert (error <= (1e-9 if start is None else 0.05) * np.asarray(y.std(0))).all()
    middle, log_half = variables['params']['x_fixed']
    np.testing.assert_allclose(middle, y.mean(0), rtol=1e-6)
    np.testing.assert_allclose(np.exp(log_half), 4 * y.std(0), rtol=1e-2)


def test_gaussianising_start_makes_every_unit_s_rows_normal(x64):
    rng = np.random.default_rng(2)
    two_bumps = rng.choice([-2.0, 2.0], N) + 0.1 * rng.standard_normal(N)
    mostly_one_value = np.where(rng.random(N) < 0.6, 3.0, 3 + rng.gamma(2.0, size=N))
    y = jnp.asarray(np.stack([rng.gamma(2.0, size=N), two_bumps, mostly_one_value, np.ones(N)], 1))
    module = SplineActivation(num_bins=16, reach=2.5, gaussianise=True)
    variables = module.init(jax.random.key(0), y, method='forward_and_log_det')
    z, log_det = module.apply(variables, y, method='forward_and_log_det')
    back, log_det_back = module.apply(variables, z, method='inverse_and_log_det')
    np.testing.assert_allclose(back, y, atol=1e-8)
    np.testing.assert_allclose(log_det_back, -log_det, atol=1e-8)
    assert stats.kstest(z[:, 0], 'norm').statistic < 0.03
    assert stats.kstest(two_bumps / two_bumps.std(), 'norm').statistic > 0.3
    assert stats.kstest(z[:, 1], 'norm').statistic < 0.1  # one bin spans the gap
    # A value that comes often stays one; what lies above it has the scores that are left.
    above = np.asarray(z[y[:, 2] > 3, 2])
    assert np.quantile(above, 0.5) == pytest.approx(stats.norm.ppf(0.8), abs=0.15)
    assert np.isfinite(z).all()
    # Far away no tail is steeper than what standardises.
    far = y[:1] + jnp.array([[-100.0], [100.0]])
    log_slope = module.apply(variables, far, method='log_slope')
    assert (log_slope[:, :3] <= -np.log(y[:, :3].std(0))[None]).all()


def test_a_start_beside_gaussianise_is_refused():
    with pytest.raises(ValueError, match='found start=SmoothLeakyReLU'):
        SplineActivation(start=SmoothLeakyReLU(0.2), gaussianise=True)


def test_ends_of_the_splines_stay_where_they_are():
    y = rows()
    module = SplineActivation()
    variables = module.init(jax.random.key(0), y, method='forward_and_log_det')

    def loss(variables):
        z, log_det = module.apply(variables, y, method='forward_and_log_det')
        return (z**2).sum() - log_det.sum()

    gradient = jax.grad(loss)(variables)['params']
    moving = {name for name, leaf in gradient.items() if np.abs(leaf).max() > 0}
    assert moving == {'log_width', 'log_height', 'log_slope'}


def test_flow_with_learnt_activations_learns_what_two_affine_layers_cannot():
    """Two bumps in each of three independent coordinates."""
    rng = np.random.default_rng(1)
    x = jnp.asarray(
        rng.choice([-2.0, 2.0], (2000, D)) + 0.3 * rng.standard_normal((2000, D)), jnp.float32
    )
    model = MLPFlow(activation=SplineActivation(), layer=RelativeAffine(start='whiten'))
    params = model.init(jax.random.key(0), x, None, 0, method='objective')['params']

    def loss(params):
        return model.apply({'params': params}, x, None, 0, method='objective')['loss'].mean()

    first = float(loss(params))

    @jax.jit
    def step(params, _):
        gradient = jax.grad(loss)(params)
        return jax.tree.map(lambda leaf, g: leaf - 0.05 * g, params, gradient), None

    params, _ = jax.lax.scan(step, params, length=300)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    # A Gaussian of this covariance is 0.8 nats worse in each coordinate.
    assert float(loss(params)) < first - 1.5


@pytest.mark.parametrize('num_bins', [0, 1])
def test_too_few_bins_are_refused(num_bins):
    with pytest.raises(ValueError, match=f'at least 2, got {num_bins}'):
        SplineActivation(num_bins)
