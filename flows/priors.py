"""Factorial standard densities of the latent z: log p(z) = sum_d log p(z_d)."""

import jax
import jax.numpy as jnp
from flax import struct

from flows.bijector import widen


@struct.dataclass
class Gaussian:
    """Standard normal: log p(z_d) = -(z_d^2 + log 2 pi) / 2."""

    def log_prob(self, z):
        """log p(z), (B,), for z (B, D)."""
        return -0.5 * (jnp.square(widen(z)) + jnp.log(2 * jnp.pi)).sum(-1)

    def sample(self, key, shape, dtype=jnp.float32):
        """Draws of the given shape."""
        return jax.random.normal(key, shape, dtype)


@struct.dataclass
class Logistic:
    """Standard logistic: log p(z_d) = -log(1 + e^z_d) - log(1 + e^-z_d)."""

    def log_prob(self, z):
        """log p(z), (B,), for z (B, D)."""
        z = widen(z)
        return -(jax.nn.softplus(z) + jax.nn.softplus(-z)).sum(-1)

    def sample(self, key, shape, dtype=jnp.float32):
        """Draws log u - log(1 - u) of the given shape, u strictly between 0 and 1, so finite."""
        # `uniform` is a multiple of eps in [0, 1), 0 included; the middles of its cells are
        # symmetric and exclude 0 and 1.
        u = jax.random.uniform(key, shape, dtype) + jnp.finfo(dtype).eps / 2
        return jnp.log(u) - jnp.log1p(-u)


PRIORS = {'gaussian': Gaussian, 'logistic': Logistic}


def prior(name):
    """The prior called `name`; ValueError, listing the known ones, if there is none."""
    if name not in PRIORS:
        raise ValueError(f'Unknown prior {name!r}: choose one of {", ".join(PRIORS)}.')
    return PRIORS[name]()
