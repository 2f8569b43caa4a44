"""Uniform starts of weights and biases."""

import jax
import jax.numpy as jnp
from flax.typing import Initializer


def uniform_within(limit: float) -> Initializer:
    """Entries uniform on [-limit, limit)."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


def uniform_by_fan_in(
    key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """A kernel (fan_in, ...) uniform within 1 / sqrt(fan_in), PyTorch's default."""
    return uniform_within(max(shape[0], 1) ** -0.5)(key, shape, dtype)
