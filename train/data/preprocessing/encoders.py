"""Encoders: from stored values to real numbers. Random or many-to-one, so no bijectors."""

import math
from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from flows import keys as draws
from train.data.preprocessing import threefry

# Purposes folded into the example keys.
DEQUANTISATION_NOISE, BINARISATION, FLIP = 0, 1, 2

# p + u needs 8 bits for p and 16 for a midpoint of a 2^-15 grid: just the 24 bits of a float32.
NOISE_BITS = 15


class Encoder(Protocol):
    """Hashable, since it is a static part of compiled functions."""

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, D) as stored, keys (B,) -> (B, D) in data space."""
        ...


@dataclass(frozen=True)
class Dequantise:
    """t = (p + u) / levels for integers p in 0 .. levels - 1, u uniform on (0, 1) by example key.

    u takes the midpoints of a grid of step 2^-15, so that p + u is exact in float32 and t never
    touches 0 or 1; for 256 levels 1 - t is exact too.
    """

    levels: int

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, D) integers, keys (B,) -> t (B, D) in (0, 1), in training or not."""
        del training
        return (jnp.asarray(raw.astype(_float_type())) + _noise(keys, raw.shape[1:])) / self.levels


@dataclass(frozen=True)
class DequantiseCategories:
    """t = k + u for columns of categories k = 0, 1, ..., u uniform on (0, 1) by example key; other columns stay."""

    is_category: tuple[bool, ...]  # of each column

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, D) -> t (B, D), in training or not."""
        del training
        u = _noise(keys, raw.shape[1:])
        return jnp.asarray(raw.astype(_float_type())) + jnp.where(
            jnp.array(self.is_category)[None], u, 0
        )


@dataclass(frozen=True)
class Identity:
    """Real-valued data as it is."""

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, D) real -> the same numbers; keys are not used."""
        del keys, training
        return jnp.asarray(raw.astype(_float_type()))


@dataclass(frozen=True)
class Scale:
    """t = p / (levels - 1) in [0, 1] for integers p in 0 .. levels - 1: no noise, points of a grid."""

    levels: int

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, D) integers -> t (B, D) in [0, 1]; keys are not used."""
        del keys, training
        return jnp.asarray(raw.astype(_float_type()) / (self.levels - 1))


@dataclass(frozen=True)
class Keep:
    """The integers 0 .. levels - 1 themselves, for models that give whole grey levels probabilities."""

    levels: int

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, D) integers -> the same numbers as reals; keys are not used."""
        del keys, training
        return jnp.asarray(raw.astype(_float_type()))


@dataclass(frozen=True)
class Binarise:
    """x in {0, 1} with P(x = 1) = p / (levels - 1), drawn anew with every key.

    p = 0 and p = levels - 1 give 0 and 1 whatever the key, so binary images stay as they are.
    """

    levels: int

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, D) integers, keys (B,) -> x (B, D) of zeros and ones, in training or not."""
        del training
        u = draws.uniform(draws.fold_in(keys, BINARISATION), raw.shape[1:])
        return (u * (self.levels - 1) < raw).astype(_float_type())


@dataclass(frozen=True)
class Flip:
    """Mirror training images left to right with probability 1/2, then go on with `encoder`."""

    encoder: Encoder
    shape: tuple[int, ...]  # of one image (H, W, C)

    def encode(self, raw: jax.Array | np.ndarray, keys: jax.Array, training: bool) -> jax.Array:
        """raw (B, H W C) -> what the encoder makes of it; images are mirrored in training only."""
        if training:
            mirrored = raw.reshape(-1, *self.shape)[:, :, ::-1].reshape(-1, math.prod(self.shape))
            u = draws.uniform(draws.fold_in(keys, FLIP), ())
            raw = jnp.where(u[:, None] < 0.5, mirrored, raw)
        return self.encoder.encode(raw, keys, training)


def _noise(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Midpoints of a grid of step 2^-15 on (0, 1), (B, *shape)."""
    keys = draws.fold_in(keys, DEQUANTISATION_NOISE)
    bits = threefry.bits(keys, shape)
    return ((bits >> (32 - NOISE_BITS)).astype(_float_type()) + 0.5) / 2**NOISE_BITS


def _float_type() -> np.dtype:
    """float32; float64 where jax_enable_x64 is set."""
    return jax.dtypes.canonicalize_dtype(float)
