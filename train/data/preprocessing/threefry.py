"""Random bits by example key, equal to those of `jax.random.bits`, in one pass over the array.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011: Threefry-2x32 of 20 rounds. On a CPU
JAX rolls the rounds into a loop, each turn of which writes both words of every counter to memory. Unrolled, they are
one fusion with what the bits are used for.
"""

import math

import jax
import jax.numpy as jnp

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def bits(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform bits (B, *shape), uint32, the i-th row from the i-th of the keys (B,), of `threefry2x32`, alone."""
    size = math.prod(shape)
    counters = jnp.arange(size, dtype=jnp.uint32)[None]
    words = jax.random.key_data(keys)
    high, low = _threefry(words[:, :1], words[:, 1:], jnp.zeros_like(counters), counters)
    return (high ^ low).reshape(-1, *shape)


def _threefry(
    key_0: jax.Array, key_1: jax.Array, x_0: jax.Array, x_1: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The two words that a block (x_0, x_1) becomes, uint32 and broadcast against the keys."""
    keys = key_0, key_1, key_0 ^ key_1 ^ jnp.uint32(PARITY)
    x_0, x_1 = x_0 + keys[0], x_1 + keys[1]
    for group in range(1, 6):
        for rotation in ROTATIONS[(group - 1) % 2]:
            x_0 += x_1
            x_1 = x_0 ^ (x_1 << rotation | x_1 >> 32 - rotation)
        x_0 += keys[group % 3]
        x_1 += keys[(group + 1) % 3] + jnp.uint32(group)
    return x_0, x_1
