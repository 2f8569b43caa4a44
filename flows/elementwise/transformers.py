"""Transformers: increasing functions of each component, with parameters that a conditioner gives.

z_d = tau(x_d; theta_d)
"""

import dataclasses
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp

from flows.bijector import WithLogDet, widen
from flows.elementwise.rational_quadratic import RationalQuadratic, on_interval


class Transformer(Protocol):
    """tau and its inverse; a frozen dataclass. It is the identity where all parameters are zero."""

    @property
    def num_parameters(self) -> int:
        """How many numbers theta_d has."""
        ...

    def forward_and_log_slope(self, x: jax.Array, theta: jax.Array) -> WithLogDet:
        """From x (B, ..., D) and theta (P, B, ..., D) to z and log dz_d/dx_d, both of the shape of x.

        An axis of theta may be 1 where x has more; P is `num_parameters`.
        """
        ...

    def inverse_and_log_slope(self, z: jax.Array, theta: jax.Array) -> WithLogDet:
        """From z (B, ..., D) and theta (P, B, ..., D) to x and log dx_d/dz_d, both of the shape of z."""
        ...


def _check_bound(bound: float) -> None:
    if not bound > 0:
        raise ValueError(f'bound must be above 0, got {bound}.')


@dataclasses.dataclass(frozen=True)
class BoundedAffine:
    """z = x exp(s) + t with s = bound tanh(raw / bound), theta = (raw, t).

    So one layer scales by at most exp(bound): with an unbounded exponential half of the published runs on the
    checkerboard diverge.
    """

    bound: float = 2.0
    num_parameters: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check_bound(self.bound)

    def forward_and_log_slope(self, x: jax.Array, theta: jax.Array) -> WithLogDet:
        """x exp(s) + t, and s."""
        log_scale, shift = self._log_scale_and_shift(theta)
        return x * jnp.exp(log_scale) + shift, log_scale

    def inverse_and_log_slope(self, z: jax.Array, theta: jax.Array) -> WithLogDet:
        """(z - t) exp(-s), and -s."""
        log_scale, shift = self._log_scale_and_shift(theta)
        return (z - shift) * jnp.exp(-log_scale), -log_scale

    def _log_scale_and_shift(self, theta: jax.Array) -> WithLogDet:
        raw, shift = theta
        return self.bound * jnp.tanh(raw / self.bound), shift


@dataclasses.dataclass(frozen=True)
class Affine:
    """z = (x - mu) exp(-alpha) with alpha = bound tanh(raw / bound), theta = (mu, raw).

    Papamakarios et al. 2017, arXiv:1705.07057, where alpha has no bound: a few layers of it overflow early in training.
    """

    bound: float = 3.0
    num_parameters: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check_bound(self.bound)

    def forward_and_log_slope(self, x: jax.Array, theta: jax.Array) -> WithLogDet:
        """(x - mu) exp(-alpha), and -alpha."""
        mu, alpha = self._mu_and_alpha(theta)
        return (x - mu) * jnp.exp(-alpha), -alpha

    def inverse_and_log_slope(self, z: jax.Array, theta: jax.Array) -> WithLogDet:
        """z exp(alpha) + mu, and alpha."""
        mu, alpha = self._mu_and_alpha(theta)
        return z * jnp.exp(alpha) + mu, alpha

    def _mu_and_alpha(self, theta: jax.Array) -> WithLogDet:
        mu, raw = theta
        return mu, self.bound * jnp.tanh(raw / self.bound)


@dataclasses.dataclass(frozen=True)
class RationalQuadraticSpline:
    """The spline of Durkan et al. 2019, arXiv:1906.04032: [-bound, bound] onto itself, the identity beyond.

    theta: K widths, K heights and the K - 1 inner slopes, see `flows.elementwise.rational_quadratic.on_interval`.
    """

    num_bins: int = 8
    bound: float = 3.0

    def __post_init__(self) -> None:
        _check_bound(self.bound)

    @property
    def num_parameters(self) -> int:
        """3 K - 1."""
        return 3 * self.num_bins - 1

    def forward_and_log_slope(self, x: jax.Array, theta: jax.Array) -> WithLogDet:
        """s(x), and log s'(x)."""
        z, log_slope = self._spline(theta).value_and_log_slope(_examples_last(x))
        return _examples_last(z).astype(x.dtype), _examples_last(log_slope)

    def inverse_and_log_slope(self, z: jax.Array, theta: jax.Array) -> WithLogDet:
        """s^-1(z), and -log s'(s^-1(z))."""
        spline = self._spline(theta)
        x = spline.solve(_examples_last(z))
        return _examples_last(x).astype(z.dtype), -_examples_last(spline.log_slope(x))

    def _spline(self, theta: jax.Array) -> RationalQuadratic:
        K = self.num_bins
        widths, heights, slopes = jnp.split(_examples_last(theta, 1), (K, 2 * K))
        return on_interval(widths, heights, slopes, self.bound)


def _examples_last(x: jax.Array, axis: int = 0) -> jax.Array:
    """x (B, ..., D) or (B,) in its wide float type with that axis, of the examples, and the last one exchanged.

    The other way round too. A processor's vectors run along the last axis, and rows are more than components.
    """
    return widen(x).swapaxes(axis, -1)
