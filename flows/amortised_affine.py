"""The affine layer y = x W + b with its ordinary gradient at nearly the price of the relative one.

The gradient of log|det W| is W^-T, which changes little from step to step. Here V, computed as W^-T some steps ago,
stands for it: with delta = dl/dy (rows) and s = sum_i dl/d(log|det W|)_i

    dW = x^T delta + s V,    db = 1^T delta,    dx = delta W^T,

so the log-determinant costs nothing between two refreshes of V, and every refresh O(D^3). How far V had fallen behind,
|W^-T - V| / |W^-T|, is known whenever it is replaced, and the next refresh comes the sooner for it.
"""

import jax
import jax.numpy as jnp
from flax import struct

from flows.newton_schulz import newton_schulz
from flows.relative_affine import ordinary_affine, tie

# The steps between two refreshes are halved when the old V was off by more than this, doubled when by less than
# half of it.
TOLERANCE = 0.5


@jax.custom_vjp
def amortised_affine(x, W, b, V):
    """`ordinary_affine` in value; its backward pass uses V, (D, D), in place of W^-T.

    With V = W^-T the gradients are the ordinary ones. Nothing is propagated to V. Reverse mode only.
    """
    del V
    return ordinary_affine(x, W, b)


def _forward(x, W, b, V):
    y, log_det = ordinary_affine(x, W, b)
    return (y, tie(log_det, y)), (x, W, b, V)


def _backward(residuals, cotangents):
    x, W, b, V = residuals
    delta, log_det_bar = cotangents
    s = log_det_bar.sum().astype(W.dtype)
    dx = delta @ W.T.astype(x.dtype)
    dW = jnp.matmul(x.T, delta, preferred_element_type=W.dtype) + s * V
    db = None if b is None else delta.sum(0, dtype=b.dtype)
    return dx, dW, db, jnp.zeros_like(V)


amortised_affine.defvjp(_forward, _backward)


@struct.dataclass
class Inverses:
    """What is kept for L layers.

    Attributes:
        V: a tuple of L arrays (D, D), the inverses of the transposed W_l of some steps ago.
        interval: () int32, steps from one refresh to the next.
        due: () int32, the step of the next refresh.
    """

    V: tuple[jax.Array, ...]
    interval: jax.Array
    due: jax.Array


INVERSIONS = {'lu': lambda matrix, start: jnp.linalg.inv(matrix), 'newton_schulz': newton_schulz}


def first_inverses(W):
    """The `Inverses` of W, a tuple of (D, D), before the first step; they are due at once."""
    V = jax.lax.map(jnp.linalg.inv, jnp.swapaxes(jnp.stack(W), 1, 2))
    return Inverses(tuple(V), jnp.int32(1), jnp.int32(0))


def refreshed(kept, W, step, every, inversion='lu'):
    """`kept`, or where they are due the inverses of the transposed W as they are now.

    Args:
        kept: `Inverses`.
        W: a tuple of (D, D); no gradient goes through.
        step: () int32.
        every: the longest interval between two refreshes, in steps.
        inversion: 'lu', or 'newton_schulz' for matrix products alone, starting from what is kept.

    Under a vmap, over the seeds of a study say, all are refreshed when one is due: each seed then has inverses of
    other steps than in a run of its own, and differs from it by more than rounding.
    """
    invert = INVERSIONS[inversion]

    def fresh(kept, W, step):
        old = jnp.stack(kept.V)
        # One layer after the other: side by side they would each hold a thread of a CPU's pool while they wait.
        V = jax.lax.map(lambda pair: invert(pair[0].T, pair[1]), (jnp.stack(W), old))
        behind = (_norms(V - old) / _norms(V)).max()
        interval = jnp.where(behind < TOLERANCE / 2, 2 * kept.interval, kept.interval)
        interval = jnp.where(behind > TOLERANCE, kept.interval // 2, interval)
        interval = jnp.clip(interval, 1, every).astype(jnp.int32)
        return Inverses(tuple(V), interval, (step + interval).astype(jnp.int32))

    @jax.custom_batching.custom_vmap
    def fresh_if_due(kept, W, step):
        return jax.lax.cond(step >= kept.due, fresh, lambda kept, *_: kept, kept, W, step)

    @fresh_if_due.def_vmap
    def fresh_if_any_is_due(axis_size, batched, *arguments):
        # A condition of its own for each would have all of them inverted at every step.
        arguments = _all_batched(axis_size, batched, arguments)
        kept, _, step = arguments
        found = jax.lax.cond(
            (step >= kept.due).any(), jax.vmap(fresh), lambda kept, *_: kept, *arguments
        )
        return found, jax.tree.map(lambda _: True, found)

    return fresh_if_due(kept, jax.lax.stop_gradient(W), step)


def _all_batched(axis_size, batched, tree):
    """The leaves of a tree with a leading axis where they have none yet."""

    def of_leaf(leaf, has_axis):
        return leaf if has_axis else jnp.broadcast_to(leaf, (axis_size, *jnp.shape(leaf)))

    return jax.tree.map(of_leaf, tree, tuple(batched))


def _norms(matrices):
    """Frobenius norms of (L, D, D), (L,)."""
    return jnp.sqrt((matrices**2).sum(axis=(1, 2)))
