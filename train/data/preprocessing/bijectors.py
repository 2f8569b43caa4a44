"""Fitted bijectors of the preprocessing: pytrees with the two methods of every bijector.

`forward_and_log_det(t) -> (y, log_det)` and `inverse_and_log_det(y) -> (t, log_det)`; t, y: (B, D),
log_det: (B,) nats.
"""

import math
from typing import Protocol

import flax.struct
import jax
import jax.numpy as jnp

Pair = tuple[jax.Array, jax.Array]  # what it gives (B, D), log_det (B,)


class Bijector(Protocol):
    """A pytree with the two methods."""

    def forward_and_log_det(self, t: jax.Array) -> Pair: ...

    def inverse_and_log_det(self, y: jax.Array) -> Pair: ...


@flax.struct.dataclass
class Logit:
    """y = log(s / (1 - s)) with s = alpha + (1 - 2 alpha) t, for t in (0, 1), elementwise.

    Computed as log(alpha + (1 - 2 alpha) t) - log(alpha + (1 - 2 alpha) (1 - t)): near t = 1 the
    usual 1 - s would lose the digits of a small alpha. log|dy/dt| = log(1 - 2 alpha) - log s -
    log(1 - s).
    """

    alpha: float = flax.struct.field(pytree_node=False)

    def forward_and_log_det(self, t: jax.Array) -> Pair:
        log_s = jnp.log(self.alpha + (1 - 2 * self.alpha) * t)
        log_1_minus_s = jnp.log(self.alpha + (1 - 2 * self.alpha) * (1 - t))
        log_dy_dt = math.log1p(-2 * self.alpha) - log_s - log_1_minus_s
        return log_s - log_1_minus_s, log_dy_dt.sum(-1)

    def inverse_and_log_det(self, y: jax.Array) -> Pair:
        t = (jax.nn.sigmoid(y) - self.alpha) / (1 - 2 * self.alpha)
        log_dt_dy = -jax.nn.softplus(y) - jax.nn.softplus(-y) - math.log1p(-2 * self.alpha)
        return t, log_dt_dy.sum(-1)


@flax.struct.dataclass
class Unbounded:
    """From columns between bounds to the whole line, elementwise; the density beyond the bounds is zero.

    y = log(t - low) - log(high - t), with both bounds; log(t - low) or -log(high - t), with one; t, with none (None).
    log|dy/dt| = -log(t - low) - log(high - t) + log(high - low), or the one term of these that there is, with its sign.
    """

    lows: tuple[float | None, ...] = flax.struct.field(pytree_node=False)  # of each column
    highs: tuple[float | None, ...] = flax.struct.field(pytree_node=False)

    def forward_and_log_det(self, t: jax.Array) -> Pair:
        has_low, low, has_high, high = self._rows(t)
        inside = (~has_low | (t > low)) & (~has_high | (t < high))
        above = jnp.where(has_low & inside, t - low, 1)
        below = jnp.where(has_high & inside, high - t, 1)
        up, down = jnp.log(above), jnp.log(below)
        width = jnp.where(has_low & has_high, high - low, 1)
        log_dy_dt = jnp.where(inside, jnp.log(width) - up - down, -jnp.inf)
        y = jnp.where(has_low | has_high, up - down, t)
        return y, log_dy_dt.sum(-1)

    def inverse_and_log_det(self, y: jax.Array) -> Pair:
        has_low, low, has_high, high = self._rows(y)
        width = jnp.where(has_low & has_high, high - low, 1)
        one_sided = has_low ^ has_high
        exponent = jnp.where(one_sided, jnp.where(has_low, y, -y), 0)
        from_one = jnp.where(has_low, low + jnp.exp(exponent), high - jnp.exp(exponent))
        from_both = low + width * jax.nn.sigmoid(y)
        both = jnp.log(width) - jax.nn.softplus(y) - jax.nn.softplus(-y)
        t = jnp.where(one_sided, from_one, jnp.where(has_low & has_high, from_both, y))
        log_dt_dy = jnp.where(one_sided, exponent, jnp.where(has_low & has_high, both, 0))
        return t, log_dt_dy.sum(-1)

    def _rows(self, like: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Whether there is a bound, and the bound or 0, (1, D) each: of the lower ones, then the upper ones."""
        sides = []
        for bounds in (self.lows, self.highs):
            sides.append(jnp.array([[bound is not None for bound in bounds]]))
            sides.append(jnp.array([[bound or 0.0 for bound in bounds]], like.dtype))
        return sides[0], sides[1], sides[2], sides[3]


@flax.struct.dataclass
class Standardise:
    """y = (t - mean) / std, elementwise, with moments of the training split."""

    mean: jax.Array  # [D]
    std: jax.Array  # [D]

    def forward_and_log_det(self, t: jax.Array) -> Pair:
        y = (t - self._row(self.mean, t)) / self._row(self.std, t)
        return y, jnp.full(t.shape[:1], -self._log_volume(t))

    def inverse_and_log_det(self, y: jax.Array) -> Pair:
        t = y * self._row(self.std, y) + self._row(self.mean, y)
        return t, jnp.full(y.shape[:1], self._log_volume(y))

    def _row(self, array: jax.Array, like: jax.Array) -> jax.Array:
        return jnp.asarray(array, like.dtype)[None, :]

    def _log_volume(self, like: jax.Array) -> jax.Array:
        return jnp.log(jnp.asarray(self.std, like.dtype)).sum()


@flax.struct.dataclass
class Symmetric:
    """y = 2 t - 1: from (0, 1) to (-1, 1), elementwise; log|det dy/dt| = D log 2."""

    def forward_and_log_det(self, t: jax.Array) -> Pair:
        return 2 * t - 1, jnp.full(t.shape[:1], t.shape[1] * math.log(2), t.dtype)

    def inverse_and_log_det(self, y: jax.Array) -> Pair:
        return (y + 1) / 2, jnp.full(y.shape[:1], -y.shape[1] * math.log(2), y.dtype)


@flax.struct.dataclass
class Centre:
    """y = t - mean with the mean of the training split; volume is kept."""

    mean: jax.Array  # [D]

    def forward_and_log_det(self, t: jax.Array) -> Pair:
        return t - jnp.asarray(self.mean, t.dtype)[None, :], jnp.zeros(t.shape[:1], t.dtype)

    def inverse_and_log_det(self, y: jax.Array) -> Pair:
        return y + jnp.asarray(self.mean, y.dtype)[None, :], jnp.zeros(y.shape[:1], y.dtype)


@flax.struct.dataclass
class ZCA:
    """y = (t - mean) W with W = U (S + epsilon)^(-1/2) U^T for the covariance U S U^T of t.

    The covariance of y is U S / (S + epsilon) U^T. `inverse` is U (S + epsilon)^(1/2) U^T, and
    log|det dy/dt| = log_det = -1/2 sum log(S + epsilon).
    """

    mean: jax.Array  # [D]
    matrix: jax.Array  # [D, D]
    inverse: jax.Array  # [D, D]
    log_det: jax.Array  # []

    def forward_and_log_det(self, t: jax.Array) -> Pair:
        y = _product(t - jnp.asarray(self.mean, t.dtype)[None, :], self.matrix)
        return y, jnp.full(t.shape[:1], jnp.asarray(self.log_det, t.dtype))

    def inverse_and_log_det(self, y: jax.Array) -> Pair:
        t = _product(y, self.inverse) + jnp.asarray(self.mean, y.dtype)[None, :]
        return t, jnp.full(y.shape[:1], -jnp.asarray(self.log_det, y.dtype))


def _product(rows: jax.Array, matrix: jax.Array) -> jax.Array:
    """A matrix product at full precision on every device: whitening multiplies rounding errors."""
    return jnp.matmul(rows, jnp.asarray(matrix, rows.dtype), precision='highest')
