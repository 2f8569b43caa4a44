"""A learnt activation: a monotone rational-quadratic spline of its own for every unit.

    z_d = s_d(y_d),   s_d a spline through K + 1 knots with straight tails (`flows.elementwise.rational_quadratic`)

The knots start evenly spread over the values that reach the unit, on the graph of another activation, so that the first
function is that activation up to the spline's error. They move freely after that: widths, heights and slopes are
exponentials of parameters, and the middle knot has coordinates of its own.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows.bijector import WithLogDet, wide_dtype
from flows.elementwise.activations import Elementwise
from flows.elementwise.rational_quadratic import RationalQuadratic

SMALLEST_SPREAD = 1e-3


class SplineActivation(nn.Module):
    """s_d with K bins, for y (B, D).

    Attributes:
        num_bins: K >= 2.
        reach: the first knots cover the mean of the rows that the layer is initialised with, plus and minus so many of
            their standard deviations.
        start: the activation that it starts as, None for the identity.

    Raises ValueError for fewer than two bins.
    """

    num_bins: int = 8
    reach: float = 4.0
    start: Elementwise | None = None

    onto: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.num_bins < 2:
            raise ValueError(
                f'num_bins must be at least 2, got {self.num_bins}: ask for two bins or more.'
            )
        super().__post_init__()

    @nn.compact
    def _spline(self, y: jax.Array) -> RationalQuadratic:
        K, D, dtype = self.num_bins, y.shape[-1], wide_dtype(y)
        first = self._first(y.astype(dtype)) if self.is_initializing() else None

        def param(name: str, shape: tuple[int, ...]) -> jax.Array:
            return self.param(
                name, lambda _: jnp.zeros(shape, dtype) if first is None else first[name]
            )

        widths, heights = (jnp.exp(param(name, (K, D))) for name in ('log_width', 'log_height'))
        x_middle, y_middle = (param(name, (D,)) for name in ('x_middle', 'y_middle'))
        slopes = jnp.exp(param('log_slope', (K + 1, D)))
        return RationalQuadratic(
            _knots(x_middle, widths), _knots(y_middle, heights), jnp.moveaxis(slopes, 0, -1)[None]
        )

    def _first(self, y: jax.Array) -> dict[str, jax.Array]:
        """The parameters of a spline on the graph of `start`."""
        mean, spread = y.mean(0), y.std(0) + SMALLEST_SPREAD
        steps = jnp.linspace(-self.reach, self.reach, self.num_bins + 1, dtype=y.dtype)
        x = mean[None] + spread[None] * steps[:, None]
        value = x if self.start is None else self.start.value(x)
        log_slope = jnp.zeros_like(x) if self.start is None else self.start.log_slope(x)
        middle = self.num_bins // 2
        return {
            'log_width': jnp.log(jnp.diff(x, axis=0)),
            'log_height': jnp.log(jnp.diff(value, axis=0)),
            'x_middle': x[middle],
            'y_middle': value[middle],
            'log_slope': log_slope,
        }

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to s(x) (B, D) and sum_d log s'(x_d) (B,)."""
        return self._spline(x).forward_and_log_det(x)

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to s^-1(z) (B, D) and -sum_d log s'(x_d) (B,)."""
        return self._spline(z).inverse_and_log_det(z)

    def log_slope(self, y: jax.Array) -> jax.Array:
        """log s'(y_d), (B, D), for y (B, D)."""
        return self._spline(y).log_slope(y)


def _knots(middle: jax.Array, sides: jax.Array) -> jax.Array:
    """Knots (1, D, K + 1) with the given sides (K, D) between them, the one in the middle at `middle` (D,)."""
    half = len(sides) // 2
    right = middle[None] + jnp.cumsum(sides[half:], axis=0)
    left = middle[None] - jnp.cumsum(sides[:half][::-1], axis=0)[::-1]
    return jnp.moveaxis(jnp.concatenate([left, middle[None], right]), 0, -1)[None]
