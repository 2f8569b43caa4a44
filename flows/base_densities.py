"""Base densities of the latent z, with independent components: log p(z) = sum_d log p(z_d)."""

from typing import Protocol

import jax
import jax.numpy as jnp
from flax import struct

from flows.bijector import widen

LOG_2_PI = 1.8378770664093453


class BaseDensity(Protocol):
    """A density without parameters of its own; a frozen dataclass."""

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z), (B,), for z (B, D)."""
        ...

    def sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
    ) -> jax.Array:
        """Draws of the given shape."""
        ...


def standard_normal_log_prob(z: jax.Array) -> jax.Array:
    """log N(z; 0, I): (..., k) -> (...)."""
    return -0.5 * jnp.sum(LOG_2_PI + z**2, axis=-1)


@struct.dataclass
class Gaussian:
    """Standard normal: log p(z_d) = -(z_d^2 + log 2 pi) / 2."""

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z), (B,), for z (B, D)."""
        return standard_normal_log_prob(widen(z))

    def sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
    ) -> jax.Array:
        """Draws of the given shape."""
        return jax.random.normal(key, shape, dtype)


@struct.dataclass
class Tempered:
    """Draws of another density, scaled: T z for z ~ p_Z; T below 1 keeps them near its mode, at zero."""

    density: BaseDensity
    temperature: float

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p_Z(z / T) - D log T, (B,), for z (B, D)."""
        z = widen(z)
        return self.density.log_prob(z / self.temperature) - z.shape[-1] * jnp.log(self.temperature)

    def sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
    ) -> jax.Array:
        """Draws of the given shape."""
        return self.temperature * self.density.sample(key, shape, dtype)


@struct.dataclass
class StandardUniform:
    """On the unit cube: log p(z) is 0 inside, -inf outside."""

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z), (B,), for z (B, D)."""
        z = widen(z)
        inside = ((z >= 0) & (z <= 1)).all(axis=-1)
        return jnp.where(inside, jnp.zeros((), z.dtype), -jnp.inf)

    def sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
    ) -> jax.Array:
        """Draws of the given shape."""
        return jax.random.uniform(key, shape, dtype)


@struct.dataclass
class Logistic:
    """Standard logistic: log p(z_d) = -log(1 + e^z_d) - log(1 + e^-z_d)."""

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z), (B,), for z (B, D)."""
        z = widen(z)
        return -(jax.nn.softplus(z) + jax.nn.softplus(-z)).sum(-1)

    def sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
    ) -> jax.Array:
        """Draws log u - log(1 - u) of the given shape, u strictly between 0 and 1, so finite."""
        # `uniform` is a multiple of eps in [0, 1), 0 included; the middles of its cells are
        # symmetric and exclude 0 and 1.
        u = jax.random.uniform(key, shape, dtype) + jnp.finfo(dtype).eps / 2
        return jnp.log(u) - jnp.log1p(-u)


@struct.dataclass
class HyperbolicSecant:
    """Of unit variance: log p(z_d) = -log(2 cosh(pi z_d / 2)).

    Its score is a hyperbolic tangent, the nonlinearity that most programs for independent component analysis take for
    super-Gaussian components.
    """

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z), (B,), for z (B, D)."""
        z = jnp.pi * widen(z) / 2
        return -jnp.logaddexp(z, -z).sum(-1)

    def sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32
    ) -> jax.Array:
        """Draws 2 / pi arsinh(tan(pi (u - 1/2))) of the given shape, u strictly between 0 and 1, so finite."""
        u = jax.random.uniform(key, shape, dtype) + jnp.finfo(dtype).eps / 2
        return 2 / jnp.pi * jnp.arcsinh(jnp.tan(jnp.pi * (u - 0.5)))
