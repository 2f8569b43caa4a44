"""The affine layer y = x W + b with its ordinary gradient at nearly the price of the relative one.

The gradient of log|det W| is W^-T, which changes little from step to step. Here C, an inverse of W computed some steps
ago, stands for it: with delta = dl/dy (rows) and s = sum_i dl/d(log|det W|)_i

    dW = x^T delta + s C^T,    db = 1^T delta,    dx = delta W^T,

so the log-determinant costs nothing between two refreshes of C, and every refresh O(D^3). How far C has fallen behind
is seen on one row of the batch, at O(D^2): |(y - b) C - x| / |x|.
"""

import jax
import jax.numpy as jnp

from flows.relative_affine import ordinary_affine, tie

# C is refreshed early when it maps a row of the batch back with a larger relative error than this.
TOLERANCE = 0.1


@jax.custom_vjp
def amortised_affine(x, W, b, C):
    """`ordinary_affine` in value; its backward pass uses C, (D, D), in place of the inverse of W.

    With C = W^-1 the gradients are the ordinary ones. Nothing is propagated to C. Reverse mode only.
    """
    del C
    return ordinary_affine(x, W, b)


def _forward(x, W, b, C):
    y, log_det = ordinary_affine(x, W, b)
    return (y, tie(log_det, y)), (x, W, b, C)


def _backward(residuals, cotangents):
    x, W, b, C = residuals
    delta, log_det_bar = cotangents
    s = log_det_bar.sum().astype(W.dtype)
    dx = delta @ W.T.astype(x.dtype)
    dW = jnp.matmul(x.T, delta, preferred_element_type=W.dtype) + s * C.T
    db = None if b is None else delta.sum(0, dtype=b.dtype)
    return dx, dW, db, jnp.zeros_like(C)


amortised_affine.defvjp(_forward, _backward)


def refreshed(x, W, C, step, every):
    """C, or the inverse of W where it is due: at every `every`-th step, and when C has fallen too far behind.

    x: (B, D), of which one row is looked at; step: () int32.
    """
    row = jax.lax.stop_gradient(x[0]).astype(W.dtype)
    W = jax.lax.stop_gradient(W)
    behind = jnp.linalg.norm((row @ W) @ C - row) > TOLERANCE * jnp.linalg.norm(row)
    return jax.lax.cond(behind | (step % every == 0), lambda: jnp.linalg.inv(W), lambda: C)
