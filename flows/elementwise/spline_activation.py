"""A learnt activation: a monotone rational-quadratic spline of its own for every unit.

    z_d = s_d(y_d),   s_d a spline through K + 1 knots with straight tails (`flows.elementwise.rational_quadratic`)

The knots start evenly spread over the values that reach the unit, on the graph of another activation, so that the first
function is that activation up to the spline's error; or at quantiles of these values, on the graph of the function that
makes them normal, as marginals are transformed by Chen and Gopinath, "Gaussianization", 2000. The first and the last
knot stay where they are: the affine layers below and above shift and scale as well, and where both can, the optimiser
drifts along what makes no difference until the matrices are singular. The knots between and all slopes are learnt.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows.bijector import WithLogDet, wide_dtype
from flows.elementwise.activations import Elementwise
from flows.elementwise.rational_quadratic import (
    SMALLEST_BIN,
    RationalQuadratic,
    knots_between,
)

SMALLEST_SPREAD = 1e-3


class SplineActivation(nn.Module):
    """s_d with K bins, for y (B, D).

    Attributes:
        num_bins: K >= 2.
        reach: the first knots cover the mean of the rows that the layer is initialised with, plus and minus so many of
            their standard deviations; with `gaussianise`, the rows' quantiles at so many of a normal distribution.
        start: the activation that it starts as, None for the identity.
        gaussianise: whether it starts as the function that makes the rows of each unit normal instead.

    Raises ValueError for fewer than two bins, and for a `start` beside `gaussianise`.
    """

    num_bins: int = 8
    reach: float = 4.0
    start: Elementwise | None = None
    gaussianise: bool = False

    onto: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.num_bins < 2:
            raise ValueError(
                f'num_bins must be at least 2, got {self.num_bins}: ask for two bins or more.'
            )
        if self.gaussianise and self.start is not None:
            raise ValueError(
                f'gaussianise=True is a start of its own, found start={self.start}: leave one of them out.'
            )
        super().__post_init__()

    @nn.compact
    def _spline(self, y: jax.Array) -> RationalQuadratic:
        K, D, dtype = self.num_bins, y.shape[-1], wide_dtype(y)
        first = self._first(y.astype(dtype)) if self.is_initializing() else None

        def param(name: str, rows: int) -> jax.Array:
            return self.param(
                name, lambda _: jnp.zeros((rows, D), dtype) if first is None else first[name]
            )

        def knots(of: str, shares: str) -> jax.Array:
            middle, log_half = jax.lax.stop_gradient(param(of, 2))
            half = jnp.exp(log_half)
            return knots_between(param(shares, K), middle - half, middle + half)

        x, y_of_x = knots('x_fixed', 'log_width'), knots('y_fixed', 'log_height')
        slopes = jnp.exp(param('log_slope', K + 1))
        return RationalQuadratic(x[:, None], y_of_x[:, None], slopes[:, None])

    def _first(self, y: jax.Array) -> dict[str, jax.Array]:
        """The parameters of the first spline, from the rows y (B, D)."""
        steps = jnp.linspace(-self.reach, self.reach, self.num_bins + 1, dtype=y.dtype)[:, None]
        knots = self._to_normal(y, steps) if self.gaussianise else self._on_start(y, steps)
        x, value, log_slope = knots
        return {
            'x_fixed': _middle_and_log_half(x),
            'y_fixed': _middle_and_log_half(value),
            'log_width': _log_shares(x) if self.gaussianise else jnp.zeros_like(x[1:]),
            'log_height': _log_shares(value),
            'log_slope': log_slope,
        }

    def _on_start(self, y: jax.Array, steps: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Knots (K + 1, D) evenly spread, the values of `start` there and the logs of its slopes."""
        x = y.mean(0)[None] + (y.std(0) + SMALLEST_SPREAD)[None] * steps
        if self.start is None:
            return x, x, jnp.zeros_like(x)
        return x, self.start.value(x), self.start.log_slope(x)

    def _to_normal(self, y: jax.Array, steps: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Knots (K + 1, D) at the quantiles of normal scores, the scores, and logs of slopes between the secants'."""
        x = jnp.quantile(y, jax.scipy.stats.norm.cdf(steps[:, 0]), axis=0)
        # Quantiles of a value that comes often are one.
        least = 2 * SMALLEST_BIN * (x[-1] - x[0]) + SMALLEST_SPREAD / self.num_bins
        widths = jnp.maximum(jnp.diff(x, axis=0), least[None])
        x = jnp.concatenate([x[:1], x[:1] + jnp.cumsum(widths, axis=0)])
        scores = jnp.broadcast_to(steps, x.shape)
        secants = jnp.log(jnp.diff(scores, axis=0) / widths)
        between = (secants[1:] + secants[:-1]) / 2
        # Rows to come may lie far outside: the tails are no steeper than the function that standardises.
        ends = jnp.minimum(secants[jnp.array([0, -1])], -jnp.log(y.std(0) + SMALLEST_SPREAD)[None])
        return x, scores, jnp.concatenate([ends[:1], between, ends[1:]])

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to s(x) (B, D) and sum_d log s'(x_d) (B,)."""
        return self._spline(x).forward_and_log_det(x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to s^-1(z) (B, D) and -sum_d log s'(x_d) (B,)."""
        return self._spline(z).inverse_and_log_det(z)

    def log_slope(self, y: jax.Array) -> jax.Array:
        """log s'(y_d), (B, D), for y (B, D)."""
        return self._spline(y).log_slope(y)


def _log_shares(knots: jax.Array) -> jax.Array:
    """What `knots_between` makes these knots (K + 1, D) from, up to a constant."""
    shares = jnp.diff(knots, axis=0) / (knots[-1] - knots[0])[None]
    return jnp.log(jnp.maximum(shares - SMALLEST_BIN, SMALLEST_BIN**2))


def _middle_and_log_half(knots: jax.Array) -> jax.Array:
    """(2, D): the middle of the first and the last of the knots (K + 1, D), and the log of half their distance."""
    low, high = knots[0], knots[-1]
    return jnp.stack([(low + high) / 2, jnp.log((high - low) / 2)])
