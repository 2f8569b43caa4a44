"""Monotone rational-quadratic splines, elementwise and with linear tails.

Durkan, Bekasov, Murray, Papamakarios, 'Neural spline flows', 2019, arXiv:1906.04032, section 3.1, after Gregory and
Delbourgo (1982). Between the knots (x^k, y^k) and (x^k+1, y^k+1), of slopes d^k and d^k+1, with s = (y^k+1 - y^k) /
(x^k+1 - x^k) and xi = (x - x^k) / (x^k+1 - x^k),

    y = y^k + (y^k+1 - y^k) (s xi^2 + d^k xi (1 - xi)) / (s + (d^k+1 + d^k - 2 s) xi (1 - xi)).

Beyond the first and the last knot the spline goes on as the straight line of that knot's slope.
"""

import itertools
import math

import jax
import jax.numpy as jnp
from flax import struct

from flows.elementwise.activations import Elementwise

SMALLEST_BIN = 1e-3  # share of the interval
AT_ONCE = 2048  # derivatives by knots, of the rows that are summed together
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
def _select(v: jax.Array, inner: jax.Array, knots: jax.Array) -> tuple[jax.Array, ...]:
    """Of `knots` (K + 1, 3, ...) the two around each v, three arrays and three, by the K - 1 between bins, `inner`.

    By one selection after the other: gathers are slow, and sums over one-hot products come out wrong where a compiler
    takes liberties with them (`flows.compiler`). Their derivatives would recompute all that came before for each bin;
    they are written out instead, for reverse mode. Nor are the six stacked, which would be taken apart again: the
    derivative of that is a sum of padded arrays, and takes longer than all the rest.
    """
    shape = (len(knots[0]), *v.shape)
    low, high = jnp.broadcast_to(knots[0], shape), jnp.broadcast_to(knots[1], shape)
    for k in range(len(inner)):
        beyond = (v >= inner[k])[None]
        low, high = jnp.where(beyond, knots[k + 1], low), jnp.where(beyond, knots[k + 2], high)
    return *low, *high


def _select_forward(
    v: jax.Array, inner: jax.Array, knots: jax.Array
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, jax.Array, jax.Array]]:
    return _select(v, inner, knots), (v, inner, knots)


def _select_backward(
    kept: tuple[jax.Array, jax.Array, jax.Array], cotangents: tuple[jax.Array, ...]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    v, inner, knots = kept
    index = jnp.zeros(v.shape, jnp.int32)
    for k in range(len(inner)):
        index += v >= inner[k]
    number = jnp.arange(len(knots))

    def spread(index: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        knot, index = number.reshape(-1, *(1,) * index.ndim), index[None]
        of_low = jnp.where(knot == index, low[None], 0)
        return of_low + jnp.where(knot == index + 1, high[None], 0)

    def add(
        sums: tuple[jax.Array, ...], rows: tuple[jax.Array, ...]
    ) -> tuple[tuple[jax.Array, ...], None]:
        index, *parts = rows
        pairs = zip(sums, parts[:3], parts[3:], strict=True)
        return tuple(s + spread(index, *pair).sum(1, keepdims=True) for s, *pair in pairs), None

    if knots.shape[2] == 1:
        # One spline for all rows: their sum, a few rows at a time, which keeps what is in memory small. The six arrays
        # stay apart as in `_select`.
        rows = _divisor(len(v), AT_ONCE // (len(knots) * math.prod(v.shape[1:])))
        blocks = tuple(a.reshape(-1, rows, *a.shape[1:]) for a in (index, *cotangents))
        zeros = jnp.zeros((3, len(knots), 1, *v.shape[1:]), v.dtype)
        found = jnp.stack(jax.lax.scan(add, tuple(zeros), blocks)[0], axis=1)
    else:
        found = spread(index[None], jnp.stack(cotangents[:3]), jnp.stack(cotangents[3:]))
    shared = tuple(i for i, n in enumerate(knots.shape) if n == 1 < found.shape[i])
    found = found.sum(shared, keepdims=True) if shared else found
    return jnp.zeros_like(v), jnp.zeros_like(inner), found


def _divisor(number: int, at_most: int) -> int:
    """The largest divisor of a number that is not above `at_most`, 1 at the least."""
    return next((n for n in range(min(number, at_most), 0, -1) if number % n == 0), 1)


_select.defvjp(_select_forward, _select_backward)


@struct.dataclass
class RationalQuadratic(Elementwise):
    """A spline for each element, from its knots.

    Attributes:
        x, y: (K + 1, ...), increasing; d: (K + 1, ...), positive, the slopes there. Behind the first axis they have the
            rank of what the spline is applied to, (K + 1, 1, D) for the same spline in every row of (B, D).
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
        return self.value_and_log_slope(v)[0]

    def log_slope(self, v: jax.Array) -> jax.Array:
        """log s'(v)."""
        return self.value_and_log_slope(v)[1]

    def value_and_log_slope(self, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        """s(v) and log s'(v)."""
        inside = jnp.clip(v, self.x[0], self.x[-1])
        found = self._find(inside, self.x)
        xi = jnp.clip((inside - found.x) / found.width, 0, 1)
        value = found.y + found.rise(xi) + self._beyond(v, inside, self.x, self.d)
        return value, jnp.log(found.slope(xi))

    def solve(self, v: jax.Array) -> jax.Array:
        """s^-1(v), in closed form, then a step of Newton's method that mends its rounding and has its derivatives."""
        inside = jnp.clip(v, self.y[0], self.y[-1])
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
        of_knots = jnp.stack([self.x, self.y, self.d], axis=1)
        x, y, d_0, x_1, y_1, d_1 = _select(v, knots[1:-1], of_knots)
        return _Bin(x, y, x_1 - x, y_1 - y, d_0, d_1)

    @staticmethod
    def _beyond(v: jax.Array, inside: jax.Array, knots: jax.Array, slopes: jax.Array) -> jax.Array:
        """What the tails add: zero between the first and the last knot."""
        return (v - inside) * jnp.where(v < knots[0], slopes[0], slopes[-1])


def on_interval(
    widths: jax.Array, heights: jax.Array, slopes: jax.Array, bound: float
) -> RationalQuadratic:
    """The published spline: [-bound, bound] onto itself, the identity beyond.

    widths, heights: (K, ...) and slopes: (K - 1, ...), any real numbers; all zero give the identity. The slope at both
    ends is 1, that of the tails.
    """
    ones = jnp.ones_like(widths[:1])
    inner = SMALLEST_SLOPE + _positive(slopes, 1 - SMALLEST_SLOPE)
    d = jnp.concatenate([ones, inner, ones])
    end = jnp.full_like(widths[0], bound)
    x, y = (knots_between(raw, -end, end) for raw in (widths, heights))
    return RationalQuadratic(x, y, d)


def _positive(raw: jax.Array, at_zero: float) -> jax.Array:
    """softplus, shifted to the value `at_zero` for a raw value of zero."""
    return jax.nn.softplus(raw + jnp.log(jnp.expm1(jnp.asarray(at_zero, raw.dtype))))


def knots_between(raw: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    """K + 1 knots (K + 1, ...) from `low` to `high`, the ends exact, from K real numbers (K, ...)."""
    count = len(raw)
    shares = SMALLEST_BIN + (1 - SMALLEST_BIN * count) * jax.nn.softmax(raw, axis=0)
    inner = list(itertools.accumulate(shares[:-1]))  # few, and cumulative sums are slow on a CPU
    return jnp.stack([low, *(low + (high - low) * sum_ for sum_ in inner), high])
