"""The affine layer y = x W + b with its ordinary gradient by a lagged inverse, at nearly the price of the relative one.

The gradient of log|det W| is W^-T, which changes little from step to step. Here the lagged inverse V, W^-T as it was
some steps ago, stands for it: with delta = dl/dy (rows) and s = sum_i dl/d(log|det W|)_i

    dW = x^T delta + s V,    db = 1^T delta,    dx = delta W^T,

so the log-determinant costs nothing between two refreshes of V, and every refresh O(D^3). How far V had fallen behind,
|W^-T - V| / |W^-T|, is known whenever it is replaced, and the next refresh comes the sooner for it.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from flows.bijector import WithLogDet
from flows.relative.newton_schulz import newton_schulz
from flows.relative.relative_affine import ordinary_affine, tie

# The steps between two refreshes are halved when the old V was off by more than this, doubled when by less than half of
# it. Over 600 steps on digits, refreshed every ten, the error of dW is 0.33 % of it in the median, 1.5 % at the 95th
# percentile and 2.0 % at most, and validation differs by 0.05 nats, its error being 1.4:
# python -m benchmarks.amortised_tolerance --steps=600 --tolerances=0,0.5 --refresh_every=10
TOLERANCE = 0.5


@jax.custom_vjp
def lagged_affine(x: jax.Array, W: jax.Array, b: jax.Array | None, V: jax.Array) -> WithLogDet:
    """`ordinary_affine` in value; its backward pass uses V, (D, D), in place of W^-T.

    With V = W^-T the gradients are the ordinary ones. Nothing is propagated to V. Reverse mode only.
    """
    del V
    return ordinary_affine(x, W, b)


def _forward(
    x: jax.Array, W: jax.Array, b: jax.Array | None, V: jax.Array
) -> tuple[WithLogDet, tuple[jax.Array | None, ...]]:
    y, log_det = ordinary_affine(x, W, b)
    return (y, tie(log_det, y)), (x, W, b, V)


def _backward(residuals: Any, cotangents: WithLogDet) -> tuple[jax.Array | None, ...]:
    x, W, b, V = residuals
    delta, log_det_bar = cotangents
    s = log_det_bar.sum().astype(W.dtype)
    dx = delta @ W.T.astype(x.dtype)
    dW = jnp.matmul(x.T, delta, preferred_element_type=W.dtype) + s * V
    db = None if b is None else delta.sum(0, dtype=b.dtype)
    return dx, dW, db, jnp.zeros_like(V)


lagged_affine.defvjp(_forward, _backward)


@struct.dataclass
class LaggedInverses:
    """What L layers keep in the collection `cache`.

    Attributes:
        V: a tuple of L arrays (D, D), the inverses of the transposed W_l of some steps ago.
        interval: () int32, steps from one refresh to the next.
        due: () int32, the step of the next refresh.
    """

    V: tuple[jax.Array, ...]
    interval: jax.Array
    due: jax.Array


INVERSIONS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    'lu': lambda matrix, start: jnp.linalg.inv(matrix),
    'newton_schulz': newton_schulz,
}


def first_inverses(W: tuple[jax.Array, ...]) -> LaggedInverses:
    """The `LaggedInverses` of W, a tuple of (D, D), before the first step; they are due at once."""
    V = jax.lax.map(jnp.linalg.inv, jnp.swapaxes(jnp.stack(W), 1, 2))
    return LaggedInverses(tuple(V), jnp.int32(1), jnp.int32(0))


def lagged_inverses(
    module: nn.Module, W: tuple[jax.Array, ...], step: jax.Array | None, every: int, inversion: str
) -> tuple[jax.Array, ...] | None:
    """The V of layers with weights W, which `module` keeps as `inverses` in its collection `cache`; brought up to date.

    They start with the module, and are stored where the collection is mutable. None without a step: the gradient is
    then to be taken with the exact inverses. every, inversion: see `refreshed`.
    """
    if module.is_initializing():
        kept = first_inverses(W)
    elif step is None:
        return None
    else:
        kept = refreshed(module.get_variable('cache', 'inverses'), W, step, every, inversion)
    if module.is_mutable_collection('cache'):
        module.put_variable('cache', 'inverses', kept)
    return kept.V


def refreshed(
    kept: LaggedInverses,
    W: tuple[jax.Array, ...],
    step: jax.Array,
    every: int,
    inversion: str = 'lu',
) -> LaggedInverses:
    """`kept`, or where they are due the inverses of the transposed W as they are now.

    Args:
        kept: `LaggedInverses`.
        W: a tuple of (D, D); no gradient goes through.
        step: () int32.
        every: the longest interval between two refreshes, in steps.
        inversion: 'lu', or 'newton_schulz' for matrix products alone, starting from what is kept.

    Under a vmap, over the seeds of a study say, all are refreshed when one is due: each seed then has inverses of
    other steps than in a run of its own, and differs from it by more than rounding.
    """
    invert = INVERSIONS[inversion]

    def fresh(kept: LaggedInverses, W: tuple[jax.Array, ...], step: jax.Array) -> LaggedInverses:
        old = jnp.stack(kept.V)
        # One layer after the other: side by side they would each hold a thread of a CPU's pool while they wait.
        V = jax.lax.map(lambda pair: invert(pair[0].T, pair[1]), (jnp.stack(W), old))
        behind = (_norms(V - old) / _norms(V)).max()
        interval = jnp.where(behind < TOLERANCE / 2, 2 * kept.interval, kept.interval)
        interval = jnp.where(behind > TOLERANCE, kept.interval // 2, interval)
        interval = jnp.clip(interval, 1, every).astype(jnp.int32)
        return LaggedInverses(tuple(V), interval, (step + interval).astype(jnp.int32))

    @jax.custom_batching.custom_vmap
    def fresh_if_due(
        kept: LaggedInverses, W: tuple[jax.Array, ...], step: jax.Array
    ) -> LaggedInverses:
        return jax.lax.cond(step >= kept.due, fresh, lambda kept, *_: kept, kept, W, step)

    @fresh_if_due.def_vmap
    def fresh_if_any_is_due(axis_size: int, batched: Any, *arguments: Any) -> tuple[Any, Any]:
        # A condition of its own for each would have all of them inverted at every step.
        arguments = _all_batched(axis_size, batched, arguments)
        kept, _, step = arguments
        found = jax.lax.cond(
            (step >= kept.due).any(), jax.vmap(fresh), lambda kept, *_: kept, *arguments
        )
        return found, jax.tree.map(lambda _: True, found)

    return fresh_if_due(kept, jax.lax.stop_gradient(W), step)


def _all_batched(axis_size: int, batched: Any, tree: Any) -> Any:
    """The leaves of a tree with a leading axis where they have none yet."""

    def of_leaf(leaf: jax.Array, has_axis: bool) -> jax.Array:
        return leaf if has_axis else jnp.broadcast_to(leaf, (axis_size, *jnp.shape(leaf)))

    return jax.tree.map(of_leaf, tree, tuple(batched))


def _norms(matrices: jax.Array) -> jax.Array:
    """Frobenius norms of (L, D, D), (L,)."""
    return jnp.sqrt((matrices**2).sum(axis=(1, 2)))
