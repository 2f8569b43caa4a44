"""The affine layer y = x W + b, trained by the relative gradient.

Gresele, Fissore, Javaloy, Schoelkopf, Hyvarinen, "Relative gradient optimization of the Jacobian
term in unsupervised deep learning", 2020, arXiv:2006.15090.

With M = [[W, 0], [b, 1]] the layer reads [y, 1] = [x, 1] M. The relative gradient is M M^T times
the ordinary gradient of the whole per-layer term, log|det W| included. With delta = dl/dy (rows)
and s = sum_i dl/d(log|det W|)_i

    dW = (y W^T)^T delta + s W,    db = (1 + y b^T)^T delta + s b,    dx = delta W^T,

for M^T [x, 1]^T = [y, 1]^T, and M M^T applied to the gradient [[W^-T], [0]] of log|det W| is [[W],
[b]]. Nothing here costs more than O(B D^2), where the ordinary gradient needs W^-T at O(D^3).
Without bias, y = x W and the term of b falls away.
"""

from typing import Any

import jax
import jax.numpy as jnp

from flows.base_densities import standard_normal_log_prob
from flows.bijector import WithLogDet, check_float, wide_dtype, widen


def ordinary_affine(x: jax.Array, W: jax.Array, b: jax.Array | None = None) -> WithLogDet:
    """y = x W + b and log|det W| once per example, differentiated by autodiff.

    Args:
        x: (B, D); products run in its dtype.
        W: (D, D).
        b: (D,), or None for no bias.

    Returns:
        y (B, D) in the dtype of x, and log|det W| (B,) in float32 or wider.

    Raises:
        ValueError: for an x of integers or booleans.
    """
    check_float('An affine layer', x)
    y = x @ W.astype(x.dtype)
    if b is not None:
        y = y + b.astype(x.dtype)[None]
    return y, jnp.full(x.shape[:1], jnp.linalg.slogdet(widen(W))[1], wide_dtype(x))


@jax.custom_vjp
def relative_affine(x: jax.Array, W: jax.Array, b: jax.Array | None = None) -> WithLogDet:
    """`ordinary_affine` in value, with the relative gradient of W and b as its backward pass.

    The backward pass costs O(B D^2); the gradient of x is the ordinary one. Reverse mode only:
    forward mode (`jax.jvp`, `jax.jacfwd`) raises TypeError. A second derivative, as by
    `jax.hessian`, is that of the relative gradient: a Jacobian that is not symmetric, and the
    Hessian of no function. Take it through `ordinary_affine` instead. The value of log|det W| costs O(D^3)
    wherever it is used; a jitted step that uses only the gradient leaves it out.
    """
    return ordinary_affine(x, W, b)


def _relative_forward(
    x: jax.Array, W: jax.Array, b: jax.Array | None
) -> tuple[WithLogDet, tuple[jax.Array | None, ...]]:
    y, log_det = ordinary_affine(x, W, b)
    return (y, tie(log_det, y)), (y, W, b)


def tie(log_det: jax.Array, y: jax.Array) -> jax.Array:
    """log_det (B,) as a function of y (B, D), with the same values.

    Under a vmap over examples alone, log_det would be one value for all of them and a backward rule would count its
    cotangent once per example. XLA drops this.
    """
    return jnp.where(y[:, 0] == y[:, 0], log_det, log_det)


def _relative_backward(residuals: Any, cotangents: WithLogDet) -> tuple[jax.Array | None, ...]:
    y, W, _ = residuals
    delta, log_det_bar = cotangents
    W_T = W.T.astype(y.dtype)
    return delta @ W_T, *_of_parameters(y @ W_T, delta, log_det_bar, residuals)


def _of_parameters(
    y_W_T: jax.Array, delta: jax.Array, log_det_bar: jax.Array, residuals: Any
) -> tuple[jax.Array, jax.Array | None]:
    """dW (D, D) and db (D,), from y W^T and delta, both (B, D)."""
    y, W, b = residuals
    s = log_det_bar.sum().astype(W.dtype)
    dW = jnp.matmul(y_W_T.T, delta, preferred_element_type=W.dtype) + s * W
    if b is None:
        return dW, None
    # As products, which a CPU computes several times as fast as sums of (B, D).
    y_b = jnp.matmul(y, b.astype(y.dtype), precision='highest')
    db = jnp.matmul(1 + y_b, delta, precision='highest', preferred_element_type=b.dtype) + s * b
    return dW, db


relative_affine.defvjp(_relative_forward, _relative_backward)


@jax.custom_vjp
def relative_gaussian(x: jax.Array, W: jax.Array, b: jax.Array | None = None) -> WithLogDet:
    """log N(y; 0, I) for y = x W + b, and log|det W|, both (B,): a layer and the standard normal behind it.

    The gradients are those of `relative_affine` and the density one after the other, by one product fewer: with g
    (B,) the cotangents of the first, delta = -g y, and y W^T, which dW takes, gives dx = -g y W^T as well.
    """
    y, log_det = ordinary_affine(x, W, b)
    return standard_normal_log_prob(widen(y)), log_det


def _gaussian_forward(
    x: jax.Array, W: jax.Array, b: jax.Array | None
) -> tuple[WithLogDet, tuple[jax.Array | None, ...]]:
    (y, log_det), residuals = _relative_forward(x, W, b)
    return (standard_normal_log_prob(widen(y)), log_det), residuals


def _gaussian_backward(residuals: Any, cotangents: WithLogDet) -> tuple[jax.Array | None, ...]:
    y, W, _ = residuals
    log_prob_bar, log_det_bar = cotangents
    g = log_prob_bar.astype(y.dtype)[:, None]
    y_W_T = y @ W.T.astype(y.dtype)
    return -g * y_W_T, *_of_parameters(y_W_T, -g * y, log_det_bar, residuals)


relative_gaussian.defvjp(_gaussian_forward, _gaussian_backward)
