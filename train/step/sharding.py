"""Arrays divided among devices, each of which keeps a part, and how they lie on the host and between programs.

The parts are rows of the first axis where they divide among the devices, which a TPU cuts without moving anything, and
else numbers of the flat array with zeros behind them, so that all parts have one size.
"""

import math
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from train.data.batches import Shares
from train.step.mapping import AXIS, Devices, Mapping
from train.step.state import TrainState

T = TypeVar('T')  # a pytree


class Share(struct.PyTreeNode):
    """In a program one device's part of an array; outside of it all parts, with a leading device axis.

    shape: of the whole array.
    """

    part: Any
    shape: tuple[int, ...] = struct.field(pytree_node=False)

    def on_host(self) -> np.ndarray:
        """The whole array from the parts of the devices of all processes, which then all have to ask for it."""
        parts = self.part
        if parts.is_fully_addressable:
            return joined(np.asarray(parts), self.shape)
        from jax.experimental import multihost_utils

        return joined(multihost_utils.process_allgather(parts, tiled=True), self.shape)


def is_share(node: Any) -> bool:
    """Where `jax.tree.map` has to stop to see a `Share`."""
    return isinstance(node, Share)


def divided(array: Any, number: int) -> Any:
    """An array with at least one axis, of NumPy or JAX -> its parts, (number, ...)."""
    if array.shape[0] % number == 0:
        return array.reshape(number, array.shape[0] // number, *array.shape[1:])
    xp = np if isinstance(array, np.ndarray) else jnp
    return xp.pad(array.reshape(-1), (0, -array.size % number)).reshape(number, -1)


def joined(parts: Any, shape: tuple[int, ...]) -> Any:
    """The inverse of `divided`: parts (number, ...) of an array of this shape."""
    size = math.prod(shape)
    if parts.size == size:
        return parts.reshape(shape)
    return parts.reshape(-1)[:size].reshape(shape)


def taken_apart(state: TrainState) -> tuple[TrainState, dict[str, Any]]:
    """A state without what is divided, the optimiser's state and the running average, and these by name."""
    kept = {'opt_state': state.opt_state, 'average': state.average}
    return state.replace(**dict.fromkeys(kept)), kept


def place(tree: Any, mapping: Mapping, devices: Devices, shares: Shares) -> Any:
    """Whole arrays on their devices as `Share`s, of which this process places its own; single numbers on each."""

    def of_leaf(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        if not leaf.ndim:
            return mapping.replicate(leaf, devices)
        mine = divided(leaf, shares.num_devices)[shares.local]
        return Share(mapping.place(mine, devices), leaf.shape)

    return jax.tree.map(of_leaf, tree)


def placed(tree: Any, count: int, shares: Shares) -> Any:
    """The shapes and dtypes of what `place` returns for so many local devices, from those of whole arrays."""

    def of_leaf(leaf: jax.ShapeDtypeStruct) -> Any:
        if not leaf.shape:
            return jax.ShapeDtypeStruct((count,), leaf.dtype)
        parts = jax.eval_shape(lambda whole: divided(whole, shares.num_devices), leaf)
        return Share(jax.ShapeDtypeStruct((count, *parts.shape[1:]), parts.dtype), leaf.shape)

    return jax.tree.map(of_leaf, tree)


def own(tree: T) -> T:
    """In a program, of arrays that every device has: this device's parts; single numbers stay."""

    def of_array(array: jax.Array) -> jax.Array:
        if not array.ndim:
            return array
        parts = divided(array, jax.lax.axis_size(AXIS))
        return jax.lax.dynamic_index_in_dim(parts, jax.lax.axis_index(AXIS), keepdims=False)

    return jax.tree.map(of_array, tree)


def gathered(part: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """In a program: the whole array of this shape from every device's part; a single number is whole already."""
    return joined(jax.lax.all_gather(part, AXIS), shape) if shape else part


def with_whole_average(state: TrainState) -> TrainState:
    """In a program: a state that can be evaluated, whose running average every device has."""

    def of_leaf(leaf: Any) -> Any:
        return gathered(leaf.part, leaf.shape) if is_share(leaf) else leaf

    return state.replace(average=jax.tree.map(of_leaf, state.average, is_leaf=is_share))
