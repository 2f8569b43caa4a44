"""Learnt activations: where they start, and what reaches every one of their parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
