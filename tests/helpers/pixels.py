"""Rows of pixels and example keys for tests of the data."""

import jax
import numpy as np


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed, impl='threefry2x32'), n)


def raw(n=6, d=5, levels=256):
    rows = np.random.default_rng(0).integers(0, levels, (n, d)).astype(np.uint8)
    rows[0] = 0
    rows[1] = levels - 1
    return rows
