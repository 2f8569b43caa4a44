import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows.image.convolution import Conv


@pytest.mark.parametrize(
    ('shape', 'size'),
    [
        ((2, 5, 4, 3), 3),
        ((1, 1, 1, 2), 3),
        ((2, 1, 6, 1), 3),
        ((2, 3, 4, 9), 3),
        ((2, 3, 4, 5), 1),
    ],
)
def test_convolution_and_its_gradients_are_those_of_flax(x64, shape, size):
    x = jax.random.normal(jax.random.key(0), shape, jnp.float64)
    ours, theirs = Conv(7, size), nn.Conv(7, (size, size), param_dtype=jnp.float64)
    variables = theirs.init(jax.random.key(1), x)
    variables['params']['bias'] = jnp.arange(7.0)

    def loss(module):
        return lambda variables, x: jnp.sum(jnp.sin(module.apply(variables, x)))

    np.testing.assert_allclose(ours.apply(variables, x), theirs.apply(variables, x), atol=1e-12)
    found, expected = (jax.grad(loss(m), argnums=(0, 1))(variables, x) for m in (ours, theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found, expected)


def test_3x3_convolution_starts_as_flax_does():
    x = jnp.zeros((1, 4, 4, 50))
    ours, theirs = (m.init(jax.random.key(0), x) for m in (Conv(40), nn.Conv(40, (3, 3))))
    assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, theirs)
    np.testing.assert_array_equal(ours['params']['bias'], theirs['params']['bias'])
    spread = [float(np.std(v['params']['kernel'])) for v in (ours, theirs)]
    assert spread[0] == pytest.approx(spread[1], rel=0.03)
