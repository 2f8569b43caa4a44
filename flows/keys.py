"""Per-example randomness: every draw is a function of one example's own key.

`keys` is an array of typed keys, shape (B,), one key per example. Drawing by example makes a draw independent of the
batch it sits in, of the device it runs on and of the number of devices.
"""

import jax
import jax.numpy as jnp


def fold_in(keys: jax.Array, data: int | jax.Array) -> jax.Array:
    """New keys (B,), one per example, from `keys` (B,) and one integer for all of them."""
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, data)


def normal(
    keys: jax.Array, shape: tuple[int, ...] = (), dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Standard normal draws, (B, *shape), the i-th from the i-th key alone."""
    return jax.vmap(lambda key: jax.random.normal(key, shape, dtype))(keys)


def uniform(
    keys: jax.Array, shape: tuple[int, ...] = (), dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Uniform draws on [0, 1), (B, *shape), the i-th from the i-th key alone."""
    return jax.vmap(lambda key: jax.random.uniform(key, shape, dtype))(keys)
