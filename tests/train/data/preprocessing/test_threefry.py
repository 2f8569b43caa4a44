"""The bits of the dequantisation noise."""

import jax
import jax.numpy as jnp
import numpy as np

from train.data.preprocessing import threefry


def test_bits_are_those_of_jax_by_key():
    keys = jax.random.split(jax.random.key(3), 4)
    for shape in [(3, 5), (1,)]:
        expected = jax.vmap(lambda key, s=shape: jax.random.bits(key, s, jnp.uint32))(keys)
        found = jax.jit(threefry.bits, static_argnums=1)(keys, shape)
        np.testing.assert_array_equal(found, expected)
