"""Coupling layer: one part of x drives, the other goes through a transformer.

Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803. With
x = [x_1, x_2] along the last axis,

    z_1 = x_1,   z_2 = tau(x_2; theta(x_1)),   log|det dz/dx| = sum log tau'(x_2; theta(x_1)),

and theta(x_1, c) in place of theta(x_1) where there is a context c. With sigma, a transformer whose parameters depend
on nothing, z_1 = sigma(x_1), as in Durkan et al., "Neural spline flows", 2019, arXiv:1906.04032.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from flows.bijector import (
    Conditional,
    WithLogDet,
    check_float,
    wide_dtype,
    widen,
    zero_log_det,
)
from flows.coupling.masks import HalfMask, Mask
from flows.elementwise.transformers import BoundedAffine, Transformer


def _units_first(
    x: jax.Array, kernel: jax.Array, dimension_numbers: Any, **settings: Any
) -> jax.Array:
    """The product of a dense layer, x (B, ..., C) by kernel (C, U), made as kernel^T x^T and only then turned around.

    A transformer takes its parameters examples last, which turns them back: nothing is left to be copied.
    """
    (of_x, of_kernel), batch = dimension_numbers
    units_first = jax.lax.dot_general(kernel, x, ((of_kernel, of_x), batch), **settings)
    return jnp.moveaxis(units_first, 0, -1)


zero_dense = functools.partial(
    nn.Dense, kernel_init=nn.initializers.zeros, dot_general=_units_first
)


class Coupling(Conditional, nn.Module):
    """Condition on one part of the last axis, transform the other.

    For vectors and for channel-last images.

    Attributes:
        conditioner: module or function from x_1, or [x_1, c], to features with the same leading axes.
        transformer: tau.
        mask: which part is which.
        passed: sigma, None for the identity.
        last: from a width to the layer after the conditioner, zero-initialised, so that the
            coupling starts as the identity; by default dense on the last axis, for images a 1x1
            convolution.
    """

    conditioner: Callable[[jax.Array], jax.Array]
    transformer: Transformer = BoundedAffine()
    mask: Mask = HalfMask()
    passed: Transformer | None = None
    last: Callable[..., nn.Module] = zero_dense

    def forward_and_log_det(self, x: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """x: (B, ..., C), context: (B, K) -> z of the shape of x and log_det (B,)."""
        x_1, x_2 = self._split(x)
        theta = self._theta(beside(x_1, context), x_2.shape[-1])
        z_2, log_slope = self.transformer.forward_and_log_slope(x_2, theta)
        log_det = _sum_per_example(log_slope)
        if self.passed is not None:
            x_1, log_slope = self.passed.forward_and_log_slope(
                x_1, self._of_passed(self.passed, x_1)
            )
            log_det += _sum_per_example(log_slope)
        return self._merge(x_1, z_2, x), log_det

    def inverse_and_log_det(self, z: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """The inverse of `forward_and_log_det`, with its own log_det."""
        x_1, z_2 = self._split(z)
        log_det = zero_log_det(z)
        if self.passed is not None:
            x_1, log_slope = self.passed.inverse_and_log_slope(
                x_1, self._of_passed(self.passed, x_1)
            )
            log_det += _sum_per_example(log_slope)
        theta = self._theta(beside(x_1, context), z_2.shape[-1])
        x_2, log_slope = self.transformer.inverse_and_log_slope(z_2, theta)
        return self._merge(x_1, x_2, z), log_det + _sum_per_example(log_slope)

    @nn.compact
    def _theta(self, known: jax.Array, width: int) -> jax.Array:
        number = self.transformer.num_parameters
        theta = self.last(number * width, name='output')(self.conditioner(known)).swapaxes(0, -1)
        return theta.reshape(number, width, *theta.shape[1:]).swapaxes(1, -1)

    @nn.compact
    def _of_passed(self, sigma: Transformer, x_1: jax.Array) -> jax.Array:
        shape = (sigma.num_parameters, x_1.shape[-1])
        theta = self.param('passed', nn.initializers.zeros, shape, wide_dtype(x_1))
        return theta.reshape(len(theta), *(1,) * (x_1.ndim - 1), -1)

    def _split(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        if x.shape[-1] < 2:
            raise ValueError(
                f'a coupling needs at least 2 entries on the last axis, found shape {x.shape}.'
            )
        check_float('Coupling', x)
        return self.mask.split(x)

    def _merge(self, x_1: jax.Array, x_2: jax.Array, like: jax.Array) -> jax.Array:
        return self.mask.merge(x_1.astype(like.dtype), x_2.astype(like.dtype))


def beside(x_1: jax.Array, context: jax.Array | None) -> jax.Array:
    """[x_1, c] along the last axis: c (B, K) stands behind each vector of x_1 (B, ..., D_1), in its dtype."""
    if context is None:
        return x_1
    c = jnp.expand_dims(context.astype(x_1.dtype), tuple(range(1, x_1.ndim - 1)))
    return jnp.concatenate([x_1, jnp.broadcast_to(c, (*x_1.shape[:-1], c.shape[-1]))], axis=-1)


def _sum_per_example(values: jax.Array) -> jax.Array:
    return widen(values).sum(axis=tuple(range(1, values.ndim)))
