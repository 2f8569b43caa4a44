"""Monotone rational-quadratic splines, elementwise and with linear tails.

Durkan, Bekasov, Murray, Papamakarios, 'Neural spline flows', 2019, arXiv:1906.04032, section 3.1, after Gregory and
Delbourgo (1982). Between the knots (x^k, y^k) and (x^k+1, y^k+1), of slopes d^k and d^k+1, with s = (y^k+1 - y^k) /
(x^k+1 - x^k) and xi = (x - x^k) / (x^k+1 - x^k),

    y = y^k + (y^k+1 - y^k) (s xi^2 + d^k xi (1 - xi)) / (s + (d^k+1 + d^k - 2 s) xi (1 - xi)).

Beyond the first and the last knot the spline goes on as the straight line of that knot's slope.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from flows.elementwise.activations import Elementwise

SMALLEST_BIN = 1e-3  # share of the interval
AT_ONCE = 2048  # derivatives by bins, of the rows that are summed together
SMALLEST_SLOPE = 1e-3


@struct.dataclass
class _Bin:
    """The bin of each element: its lower left knot, its sides, and the slopes at both ends."""

    x: jax.Array
    y: jax.Array
    width: jax.Array
    height: jax.Array
    d_0: jax.Array
    d_1: jax.Array

    @property
    def s(self) -> jax.Array:
        """The mean slope of the bin."""
        return self.height / self.width

    @property
    def bend(self) -> jax.Array:
        """d^k+1 + d^k - 2 s, zero where the spline is straight."""
        return self.d_1 + self.d_0 - 2 * self.s

    def rise(self, xi: jax.Array) -> jax.Array:
        """y - y^k at the share xi of the way through the bin."""
        above = self.s * xi**2 + self.d_0 * xi * (1 - xi)
        return self.height * above / (self.s + self.bend * xi * (1 - xi))

    def slope(self, xi: jax.Array) -> jax.Array:
        """dy / dx."""
        above = self.d_1 * xi**2 + 2 * self.s * xi * (1 - xi) + self.d_0 * (1 - xi) ** 2
        return above * jnp.square(self.s / (self.s + self.bend * xi * (1 - xi)))

    def solve(self, rise: jax.Array) -> jax.Array:
        """The xi at which y - y^k is `rise`, by the root of a quadratic that does not cancel."""
        a = self.height * (self.s - self.d_0) + rise * self.bend
        b = self.height * self.d_0 - rise * self.bend
        c = -self.s * rise
        # Rounding can take the discriminant, which is none below zero, and the root a little out of their ranges.
        root = jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0))
        return jnp.clip(2 * c / (-b - root), 0, 1)


@jax.custom_vjp
def _select(v: jax.Array, inner: jax.Array, sides: list[jax.Array]) -> list[jax.Array]:
    """What each of `sides` (..., K) holds for the bin of each v, by the K - 1 knots between bins, `inner`.

    By one selection after the other: gathers are slow, and sums over one-hot products come out wrong where a compiler
    takes liberties with them (`flows.compiler`). Their derivatives would recompute all that came before for each side
    and bin; they are written out instead, for reverse mode.
    """
    found = [jnp.broadcast_to(side[..., 0], v.shape) for side in sides]
    for k in range(inner.shape[-1]):
        right = v >= inner[..., k]
        found = [
            jnp.where(right, side[..., k + 1], old) for side, old in zip(sides, found, strict=True)
        ]
    return found


def _select_forward(
    v: jax.Array, inner: jax.Array, sides: list[jax.Array]
) -> tuple[list[jax.Array], tuple[jax.Array, jax.Array]]:
    return _select(v, inner, sides), (v, inner)


def _select_backward(
    kept: tuple[jax.Array, jax.Array], cotangents: list[jax.Array]
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    v, inner = kept
    number = inner.shape[-1] + 1
    index = jnp.zeros(v.shape, jnp.int32)
    for k in range(number - 1):
        index += v >= inner[..., k]

    def spread(index: jax.Array, cotangent: jax.Array) -> jax.Array:
        return jnp.where(jax.nn.one_hot(index, number, dtype=bool), cotangent[..., None], 0)

    def add(
        sums: list[jax.Array], row: tuple[jax.Array, list[jax.Array]]
    ) -> tuple[list[jax.Array], None]:
        index, cotangents = row
        return [s + spread(index, c).sum(0) for s, c in zip(sums, cotangents, strict=True)], None

    if (
        inner.shape[0] == 1
    ):  # one spline for all rows: their sum, a few rows at a time, which keeps it small
        rows = _divisor(len(v), AT_ONCE // math.prod((*v.shape[1:], number)))
        blocks = jax.tree.map(lambda a: a.reshape(-1, rows, *a.shape[1:]), (index, cotangents))
        zeros = [jnp.zeros((*v.shape[1:], number), v.dtype) for _ in cotangents]
        found = [s[None] for s in jax.lax.scan(add, zeros, blocks)[0]]
    else:
        found = [spread(index, c) for c in cotangents]
    shared = tuple(axis for axis in range(v.ndim) if inner.shape[axis] == 1 < found[0].shape[axis])
    found = [f.sum(shared, keepdims=True) for f in found] if shared else found
    return jnp.zeros_like(v), jnp.zeros_like(inner), found


def _divisor(number: int, at_most: int) -> int:
    """The largest divisor of a number that is not above `at_most`, 1 at the least."""
    return next((n for n in range(min(number, at_most), 0, -1) if number % n == 0), 1)


_select.defvjp(_select_forward, _select_backward)


@struct.dataclass
class RationalQuadratic(Elementwise):
    """A spline for each element, from its knots.

    Attributes:
        x, y: (..., K + 1), increasing; d: (..., K + 1), positive, the slopes there. Without the last axis they have the
            rank of what the spline is applied to, (1, D, K + 1) for the same spline in every row of (B, D).
    """

    x: jax.Array
    y: jax.Array
    d: jax.Array

    @property
    def onto(self) -> bool:
        """Whether every number is reached: the tails are lines of positive slope."""
        return True

    def value(self, v: jax.Array) -> jax.Array:
        """s(v)."""
        inside = jnp.clip(v, self.x[..., 0], self.x[..., -1])
        found = self._find(inside, self.x)
        xi = jnp.clip((inside - found.x) / found.width, 0, 1)
        return found.y + found.rise(xi) + self._beyond(v, inside, self.x, self.d)

    def log_slope(self, v: jax.Array) -> jax.Array:
        """log s'(v)."""
        inside = jnp.clip(v, self.x[..., 0], self.x[..., -1])
        found = self._find(inside, self.x)
        return jnp.log(found.slope(jnp.clip((inside - found.x) / found.width, 0, 1)))

    def solve(self, v: jax.Array) -> jax.Array:
        """s^-1(v), in closed form, then a step of Newton's method that mends its rounding and has its derivatives."""
        inside = jnp.clip(v, self.y[..., 0], self.y[..., -1])
        found = self._find(inside, self.y)
        rise = inside - found.y
        fixed, target = jax.lax.stop_gradient((found, rise))
        xi = fixed.solve(target)
        run = found.width * xi - (found.rise(xi) - rise) / fixed.slope(xi)
        # Where the spline is flat, rounding can take the step out of the bin.
        run += jax.lax.stop_gradient(jnp.clip(run, 0, found.width) - run)
        return found.x + run + self._beyond(v, inside, self.y, 1 / self.d)

    def _find(self, v: jax.Array, knots: jax.Array) -> _Bin:
        """The bins that v lies in, of the knots of x or of y."""
        ends = self.d[..., :-1], self.d[..., 1:]
        sides = [self.x[..., :-1], self.y[..., :-1], jnp.diff(self.x), jnp.diff(self.y), *ends]
        return _Bin(*_select(v, knots[..., 1:-1], sides))

    @staticmethod
    def _beyond(v: jax.Array, inside: jax.Array, knots: jax.Array, slopes: jax.Array) -> jax.Array:
        """What the tails add: zero between the first and the last knot."""
        return (v - inside) * jnp.where(v < knots[..., 0], slopes[..., 0], slopes[..., -1])


def on_interval(
    widths: jax.Array, heights: jax.Array, slopes: jax.Array, bound: float
) -> RationalQuadratic:
    """The published spline: [-bound, bound] onto itself, the identity beyond.

    widths, heights: (..., K) and slopes: (..., K - 1), any real numbers; all zero give the identity. The slope at both
    ends is 1, that of the tails.
    """
    ones = jnp.ones_like(slopes[..., :1])
    inner = SMALLEST_SLOPE + _positive(slopes, 1 - SMALLEST_SLOPE)
    d = jnp.concatenate([ones, inner, ones], axis=-1)
    return RationalQuadratic(_knots(widths, bound), _knots(heights, bound), d)


def _positive(raw: jax.Array, at_zero: float) -> jax.Array:
    """softplus, shifted to the value `at_zero` for a raw value of zero."""
    return jax.nn.softplus(raw + jnp.log(jnp.expm1(jnp.asarray(at_zero, raw.dtype))))


def _knots(raw: jax.Array, bound: float) -> jax.Array:
    """K + 1 knots from -bound to bound, the ends exact, from K real numbers."""
    count = raw.shape[-1]
    shares = SMALLEST_BIN + (1 - SMALLEST_BIN * count) * jax.nn.softmax(raw, axis=-1)
    inner = bound * (2 * jnp.cumsum(shares, axis=-1)[..., :-1] - 1)
    end = jnp.full_like(raw[..., :1], bound)
    return jnp.concatenate([-end, inner, end], axis=-1)


def through(
    function: Callable[[jax.Array], jax.Array],
    slope: Callable[[jax.Array], jax.Array],
    x: jax.Array,
) -> RationalQuadratic:
    """The spline with knots x (..., K + 1) that has a function's values and slopes there."""
    return RationalQuadratic(x, function(x), slope(x))
