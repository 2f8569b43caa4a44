"""The affine layer y = x W + b with its relative gradient and, beside it, second moments for an optimiser to divide by.

An optimiser that rescales the relative gradient R = M E entry by entry, as Adam does, gives up what the relative
gradient is for: under x -> x A + c, W -> A^-1 W, b -> b - c A^-1 W it no longer takes the same steps. Here
M = [[W, 0], [b, 1]] and E = M^T G with G the ordinary gradient; of one example with loss l, delta = dl/dy (a row) and
log|det W| in -l

    E = [y, 1]^T delta - [I; 0],

which such a change leaves as it is. So do its second moments by output unit, averaged over rows i and examples n,

    S_j = mean_n 1/(D + 1) sum_i E_ij^2 = mean_n ((|y|^2 + 1) delta_j^2 - 2 y_j delta_j + 1) / (D + 1),

and the step R diag(S)^-1/2 is equivariant still. They cost O(B D), and are moments over single examples rather than of
a batch's mean, so that they are the same however a batch is dealt out to devices.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flows.bijector import WithLogDet
from flows.relative.relative_affine import relative_affine

# The parameter of an affine layer whose gradient is the second moments. Checkpoints have it under this name.
OUTPUT_MOMENTS = 'S'


def has_output_moments(tree: Any) -> bool:
    """Whether a tree is the parameters, or gradients, of one affine layer with second moments.

    These are W (D, D), S (D,) and b (D,), or no b, and nothing else: an S of another layer is not taken for moments.
    """
    if not isinstance(tree, dict) or set(tree) - {'b'} != {'W', OUTPUT_MOMENTS}:
        return False
    shapes = {name: np.shape(leaf) for name, leaf in tree.items()}
    width = shapes[OUTPUT_MOMENTS]
    return len(width) == 1 and shapes['W'] == width + width and shapes.get('b', width) == width


@jax.custom_vjp
def equivariant_affine(x: jax.Array, W: jax.Array, b: jax.Array | None, S: jax.Array) -> WithLogDet:
    """`relative_affine` in value and gradient; the cotangent of S, (D,), is the second moments of this batch.

    They are of the loss whose mean over the examples is differentiated: with weights w_n = -dl/d(log|det W|)_n that
    sum to one. S itself is not used, it stands in the parameters for what comes back.
    """
    del S
    return relative_affine(x, W, b)


def _forward(
    x: jax.Array, W: jax.Array, b: jax.Array | None, S: jax.Array
) -> tuple[WithLogDet, Any]:
    out, vjp = jax.vjp(relative_affine, x, W, b)
    return out, (vjp, out[0], b, S)


def _backward(residuals: Any, cotangents: WithLogDet) -> tuple[jax.Array | None, ...]:
    vjp, y, b, S = residuals
    delta, log_det_bar = cotangents
    w = -log_det_bar.astype(S.dtype)
    moments = _weighted_moments(y.astype(S.dtype), delta.astype(S.dtype), w, bias=b is not None)
    return *vjp(cotangents), moments


def _weighted_moments(y: jax.Array, delta: jax.Array, w: jax.Array, *, bias: bool) -> jax.Array:
    """S from y (B, D), the cotangents delta (B, D) of sum_n w_n l_n, and the weights w (B,)."""
    width = y.shape[1]
    squares = (y**2).sum(axis=1) + (1 if bias else 0)
    of_squares = jnp.where(w > 0, squares / jnp.where(w > 0, w, 1), 0) @ delta**2
    return (of_squares - 2 * (y * delta).sum(axis=0) + w.sum()) / (width + bias)


equivariant_affine.defvjp(_forward, _backward)
