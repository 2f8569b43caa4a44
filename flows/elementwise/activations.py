"""Invertible elementwise activations z = s(x), as bijectors: log|det| = sum_d log s'(x_d).

`onto` says whether s reaches every real number. Where it does not, a flow built from it maps data
onto a part of the latent space only: its density integrates to less than one and latents outside
that part have no inverse.
"""

from collections.abc import Callable
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
from flax import struct
from jax import nn

from flows.bijector import Bijector, WithLogDet, check_float, widen

NEWTON_STEPS = 60


class Activation(Bijector, Protocol):
    """An elementwise bijector: a frozen dataclass, or a Linen module with parameters of its own."""

    @property
    def onto(self) -> bool:
        """Whether it reaches every real number."""
        ...

    def log_slope(self, y: jax.Array) -> jax.Array:
        """log s'(y_d), of the shape of y (B, D)."""
        ...


def solve_increasing(
    f: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    v: jax.Array,
    low: jax.Array,
    high: jax.Array,
) -> jax.Array:
    """The y in [low, high] with s(y) = v, elementwise, for f(y) = (s(y), s'(y)), s' > 0.

    Newton's method held inside a shrinking bracket: a step that would leave it, or that does not
    halve the step before last, is replaced by a bisection, so that the steps go to zero whatever
    the shape of s. Their number is fixed, so the loop works under jit and vmap. The derivative with
    respect to v is that of one more Newton step at the solution, which is the exact 1 / s'(y).
    """
    target = jax.lax.stop_gradient(v)
    rounding = 4 * jnp.finfo(v.dtype).eps

    def step(_: int, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        y, low, high, last, before_last = state
        value, slope = f(y)
        low, high = jnp.where(value < target, y, low), jnp.where(value < target, high, y)
        move = (target - value) / slope
        newton, middle = y + move, low + (high - low) / 2
        small = (2 * abs(move) <= before_last) | (abs(move) <= rounding * abs(y))
        new = jnp.where((newton >= low) & (newton <= high) & small, newton, middle)
        return new, low, high, abs(new - y), last

    low, high = jax.lax.stop_gradient((low, high))
    state = high, low, high, high - low, high - low
    y = jax.lax.fori_loop(0, NEWTON_STEPS, step, state)[0]
    value, slope = jax.lax.stop_gradient(f(y))
    return y + (v - value) / slope


class Elementwise:
    """Both methods of the contract from `value`, `log_slope` and `solve` of the scalar function.

    Each of the three maps an array to an array of its shape, in float32 or float64. Both methods
    raise ValueError for integers or booleans.
    """

    def value(self, y: jax.Array) -> jax.Array:
        raise NotImplementedError

    def log_slope(self, y: jax.Array) -> jax.Array:
        raise NotImplementedError

    def value_and_log_slope(self, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Both, for functions in which they share work."""
        return self.value(y), self.log_slope(y)

    def solve(self, v: jax.Array) -> jax.Array:
        raise NotImplementedError

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to s(x) (B, D) and sum_d log s'(x_d) (B,)."""
        check_float(type(self).__name__, x)
        value, log_slope = self.value_and_log_slope(widen(x))
        return value.astype(x.dtype), log_slope.sum(-1)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x = s^-1(z) (B, D) and -sum_d log s'(x_d) (B,).

        Not finite where z is outside the range of s.
        """
        check_float(type(self).__name__, z)
        y = self.solve(widen(z))
        return y.astype(z.dtype), -self.log_slope(y).sum(-1)


@struct.dataclass
class SmoothLeakyReLU(Elementwise):
    """s(y) = a y + (1 - a) log(1 + e^y), s'(y) = a + (1 - a) sigmoid(y).

    Raises ValueError unless 0 < alpha <= 1.
    """

    alpha: float = struct.field(default=0.01, pytree_node=False)
    onto: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise ValueError(
                f'smooth_leaky_relu needs 0 < alpha <= 1, got {self.alpha}: '
                'choose alpha in that interval.'
            )

    def value(self, y: jax.Array) -> jax.Array:
        return self.alpha * y + (1 - self.alpha) * nn.softplus(y)

    def slope(self, y: jax.Array) -> jax.Array:
        return self.alpha + (1 - self.alpha) * nn.sigmoid(y)

    def log_slope(self, y: jax.Array) -> jax.Array:
        return jnp.log(self.slope(y))

    def solve(self, v: jax.Array) -> jax.Array:
        # softplus lies between max(y, 0) and max(y, 0) + log 2, so s lies between two leaky ReLUs,
        # each inverted here.
        def leaky_inverse(u: jax.Array) -> jax.Array:
            return jnp.where(u > 0, u, u / self.alpha)

        low = leaky_inverse(v - (1 - self.alpha) * jnp.log(2.0).astype(v.dtype))
        return solve_increasing(lambda y: (self.value(y), self.slope(y)), v, low, leaky_inverse(v))


@struct.dataclass
class LeakyTanh(Elementwise):
    """s(y) = tanh(al y) + be y, s'(y) = al sech^2(al y) + be; al is `alpha`, be is `beta`.

    Raises ValueError unless alpha >= 0 and beta > 0.
    """

    alpha: float = struct.field(default=1.0, pytree_node=False)
    beta: float = struct.field(default=0.1, pytree_node=False)
    onto: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.alpha < 0 or self.beta <= 0:
            raise ValueError(
                f'leaky_tanh needs alpha >= 0 and beta > 0, got alpha {self.alpha} and '
                f'beta {self.beta}: choose both in those intervals.'
            )

    def value(self, y: jax.Array) -> jax.Array:
        return jnp.tanh(self.alpha * y) + self.beta * y

    def slope(self, y: jax.Array) -> jax.Array:
        # sech^2(u) = 4 sigmoid(2u) sigmoid(-2u) has no cancellation, unlike 1 - tanh^2(u).
        u = 2 * self.alpha * y
        return 4 * self.alpha * nn.sigmoid(u) * nn.sigmoid(-u) + self.beta

    def log_slope(self, y: jax.Array) -> jax.Array:
        return jnp.log(self.slope(y))

    def solve(self, v: jax.Array) -> jax.Array:
        low, high = (v - 1) / self.beta, (v + 1) / self.beta  # because |tanh| <= 1
        return solve_increasing(lambda y: (self.value(y), self.slope(y)), v, low, high)


@struct.dataclass
class ELU(Elementwise):
    """s(y) = y for y > 0, else a (e^y - 1), with range (-a, inf).

    Raises ValueError unless alpha > 0.
    """

    alpha: float = struct.field(default=0.01, pytree_node=False)
    onto: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ValueError(f'elu needs alpha > 0, got {self.alpha}: choose a positive alpha.')

    # The branch that is not taken gets a harmless argument, for `where` does not stop its NaN in
    # the gradient.

    def value(self, y: jax.Array) -> jax.Array:
        return jnp.where(y > 0, y, self.alpha * jnp.expm1(jnp.where(y > 0, 0, y)))

    def log_slope(self, y: jax.Array) -> jax.Array:
        log_alpha = jnp.log(jnp.asarray(self.alpha, y.dtype))
        return jnp.where(y > 0, jnp.zeros_like(y), log_alpha + y)

    def solve(self, v: jax.Array) -> jax.Array:
        return jnp.where(v > 0, v, jnp.log1p(jnp.where(v > 0, 0, v) / self.alpha))


@struct.dataclass
class Softplus(Elementwise):
    """s(y) = log(1 + e^y), s'(y) = sigmoid(y); the range is (0, inf)."""

    onto: ClassVar[bool] = False

    def value(self, y: jax.Array) -> jax.Array:
        return nn.softplus(y)

    def log_slope(self, y: jax.Array) -> jax.Array:
        return -nn.softplus(-y)

    def solve(self, v: jax.Array) -> jax.Array:
        return v + jnp.log(-jnp.expm1(-v))
