"""Encoders: from stored values to real numbers. Random or many-to-one, so no bijectors."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from flows import keys as draws

DEQUANTISATION_NOISE = 0  # purpose folded into the example keys

# p + u needs 8 bits for p and 16 for a midpoint of a 2^-15 grid: just the 24 bits of a float32.
NOISE_BITS = 15


@dataclass(frozen=True)
class Dequantise:
    """t = (p + u) / levels for integers p in 0 .. levels - 1, u uniform on (0, 1) by example key.

    u takes the midpoints of a grid of step 2^-15, so that p + u is exact in float32 and t never
    touches 0 or 1; for 256 levels 1 - t is exact too.
    """

    levels: int

    def encode(self, raw, keys, training):
        """raw (B, D) integers, keys (B,) -> t (B, D) in (0, 1), in training or not."""
        del training
        keys = draws.fold_in(keys, DEQUANTISATION_NOISE)
        bits = jax.vmap(lambda key: jax.random.bits(key, raw.shape[1:], jnp.uint32))(keys)
        dtype = _float_type()
        u = ((bits >> (32 - NOISE_BITS)).astype(dtype) + 0.5) / 2**NOISE_BITS
        return (raw.astype(dtype) + u) / self.levels


@dataclass(frozen=True)
class Identity:
    """Real-valued data as it is."""

    def encode(self, raw, keys, training):
        """raw (B, D) real -> the same numbers; keys are not used."""
        del keys, training
        return raw.astype(_float_type())


def _float_type():
    """float32; float64 where jax_enable_x64 is set."""
    return jax.dtypes.canonicalize_dtype(float)
