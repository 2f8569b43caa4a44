"""The scalar activations, and what a model says of those that do not reach every number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import ELU, LeakyTanh, MLPFlow, SmoothLeakyReLU, Softplus

few = settings(derandomize=True, deadline=None, max_examples=8, database=None)


@st.composite
def activations(draw, onto_only=False):
    alpha = draw(st.floats(0.01, 1))
    beta = draw(st.floats(0.01, 1))
    onto = [SmoothLeakyReLU(alpha), LeakyTanh(alpha, beta)]
    return draw(st.sampled_from(onto if onto_only else [*onto, ELU(alpha), Softplus()]))


@st.composite
def inputs(draw):
    """(B, D) rows, B and D from 1 on, some values extreme, none at the kink of elu."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = 3 * rng.standard_normal(shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([-1e3, 1e3], shape), x)


def formula(s):
    """The function as its docstring writes it, by numpy."""
    return {
        SmoothLeakyReLU: lambda y: s.alpha * y + (1 - s.alpha) * np.logaddexp(0, y),
        LeakyTanh: lambda y: np.tanh(s.alpha * y) + s.beta * y,
        ELU: lambda y: np.where(y > 0, y, s.alpha * np.expm1(np.minimum(y, 0))),
        Softplus: lambda y: np.logaddexp(0, y),
    }[type(s)]


@few
@given(s=activations(), x=inputs())
def test_value_and_log_derivative_follow_the_formula(s, x):
    with jax.enable_x64(True):
        z, log_det = jax.jit(s.forward_and_log_det)(x)
        slope = jax.device_get(jax.jit(jax.vmap(jax.vmap(jax.grad(s.value))))(x))
    np.testing.assert_allclose(z, formula(s)(x), rtol=1e-12)
    visible = slope > 0  # e^-1000 is zero as a number, its logarithm is not
    expected = np.where(visible, np.log(np.where(visible, slope, 1)), x).sum(-1)
    offset = np.log(s.alpha) if isinstance(s, ELU) else 0
    expected = expected + offset * (~visible).sum(-1)
    np.testing.assert_allclose(log_det, expected, rtol=1e-9, atol=1e-9)


@few
@given(s=activations(), x=inputs(), bits=st.sampled_from([32, 64]))
def test_values_and_gradients_are_finite_far_out(s, x, bits):
    with jax.enable_x64(bits == 64):
        x = jnp.asarray(x, f'float{bits}')

        def total(x):
            z, log_det = s.forward_and_log_det(x)
            return z.sum() + log_det.sum()

        value, gradient = jax.jit(jax.value_and_grad(total))(x)
        assert jnp.isfinite(value)
        assert jnp.isfinite(gradient).all()
        assert gradient.dtype == x.dtype


@few
@given(s=activations(onto_only=True), x=inputs(), bits=st.sampled_from([32, 64]))
def test_inverse_returns_to_x_everywhere(s, x, bits):
    tolerance = {32: 2e-5, 64: 1e-13}[bits]
    with jax.enable_x64(bits == 64):
        x = jnp.asarray(x, f'float{bits}')
        forward, inverse = jax.jit(s.forward_and_log_det), jax.jit(s.inverse_and_log_det)
        z, log_det = forward(x)
        back, inverse_log_det = inverse(z)
        # A slope of `a` turns a rounding of z into one of x that is 1 / a times larger.
        assert (abs(back - x) <= tolerance / 0.01 * (1 + abs(x))).all()
        again, _ = forward(back)
        np.testing.assert_allclose(again, z, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(-inverse_log_det, log_det, atol=100 * tolerance * x.size)


@pytest.mark.parametrize('s', [SmoothLeakyReLU(1e-6), LeakyTanh(50.0, 1e-3), SmoothLeakyReLU(1.0)])
def test_newton_converges_where_the_function_is_nearly_flat_or_steep(s, x64):
    z = jnp.linspace(-30, 30, 4001)[:, None]
    x, _ = s.inverse_and_log_det(z)
    np.testing.assert_allclose(s.forward_and_log_det(x)[0], z, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('s', [SmoothLeakyReLU(0.3), LeakyTanh(), ELU(0.5), Softplus()], ids=repr)
def test_derivative_of_the_inverse_is_one_over_the_slope(s, x64):
    x = jnp.linspace(-5, 4, 20)[:, None]
    z, log_det = s.forward_and_log_det(x)
    derivative = jax.vmap(jax.grad(lambda v: s.inverse_and_log_det(v[None])[0][0, 0]))(z)
    np.testing.assert_allclose(derivative[:, 0], jnp.exp(-log_det), rtol=1e-9)


@pytest.mark.parametrize('s', [ELU(0.5), Softplus()], ids=repr)
def test_closed_inverses(s, x64):
    x = jnp.linspace(-8, 30, 50)[:, None]
    z, log_det = s.forward_and_log_det(x)
    back, inverse_log_det = s.inverse_and_log_det(z)
    np.testing.assert_allclose(back, x, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -log_det, rtol=1e-9, atol=1e-9)


def test_default_slopes_are_the_published_ones():
    assert SmoothLeakyReLU() == SmoothLeakyReLU(0.01)
    assert LeakyTanh() == LeakyTanh(1.0, 0.1)


@pytest.mark.parametrize(
    ('make', 'alpha', 'message'),
    [
        (SmoothLeakyReLU, 0.0, '0 < alpha <= 1, got 0.0'),
        (SmoothLeakyReLU, 1.5, '0 < alpha <= 1, got 1.5'),
        (LeakyTanh, -1.0, 'alpha >= 0 and beta > 0, got alpha -1.0'),
        (ELU, 0.0, 'alpha > 0, got 0.0'),
    ],
)
def test_bad_slope_is_refused(make, alpha, message):
    with pytest.raises(ValueError, match=message):
        make(alpha=alpha)


def test_model_refuses_less_than_one_layer():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        MLPFlow(num_layers=0)


@pytest.mark.parametrize('activation', [ELU(), Softplus()], ids=repr)
def test_model_that_is_not_onto_warns_and_does_not_sample(activation):
    model = MLPFlow(activation=activation)
    variables = model.init(jax.random.key(0), jnp.ones((2, 3)), None, 0, method='objective')
    assert not model.is_onto
    assert 'integrates to less than one' in model.warning
    with pytest.raises(ValueError, match='cannot be sampled: choose smooth_leaky_relu'):
        model.apply(variables, jax.random.key(1), 4, method='sample')


@pytest.mark.parametrize(
    'fields',
    [{}, {'activation': LeakyTanh()}, {'activation': ELU(), 'num_layers': 1}],
    ids=str,
)
def test_model_that_is_onto_has_no_warning(fields):
    model = MLPFlow(**fields)
    assert model.is_onto
    assert not model.warning
