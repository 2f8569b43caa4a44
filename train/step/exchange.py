"""What devices exchange in a step: gradients for their mean and, where each updates a part, the new parameters.

Where the optimiser's state is divided a device updates its part of the parameters alone. That is ZeRO, stage 1
(Rajbhandari, Rasley, Ruwase, He, "ZeRO: Memory optimizations toward training trillion parameter models", 2020,
arXiv:1910.02054, section 5.1): the gradient leaves by a reduce-scatter and the parameters come back by an all-gather,
which together send as much as the all-reduce of the gradient.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from train.optim.equivariant import without_moments
from train.step import sharding
from train.step.mapping import AXIS
from train.step.sharding import is_share


class Exchange(Protocol):
    """One of the two below; axis `batch` has to be bound around its methods."""

    def mean(self, gradient: Any) -> Any:
        """The mean over devices of a gradient of the parameters, of which each keeps what it updates."""
        ...

    def norms(self, gradient: Any) -> tuple[jax.Array, jax.Array]:
        """Of such a mean the global norm, without and with the second moments that layers hand over as gradients."""
        ...

    def own(self, params: Any) -> Any:
        """Of the parameters what this device updates."""
        ...

    def opened(self, kept: Any) -> Any:
        """The arrays of what is kept of an optimiser's state or an average, those of what this device updates."""
        ...

    def closed(self, arrays: Any, kept: Any) -> Any:
        """The inverse of `opened`: new arrays in the place of those that were kept."""
        ...

    def whole(self, updated: Any, params: Any) -> Any:
        """The parameters, of shapes as before, from what every device has updated."""
        ...


class _Whole:
    def mean(self, gradient: Any) -> Any:
        # On one device there is nothing to exchange, and XLA would copy the gradient all the same.
        return gradient if jax.lax.psum(1, AXIS) == 1 else jax.lax.pmean(gradient, AXIS)

    def norms(self, gradient: Any) -> tuple[jax.Array, jax.Array]:
        squares = sum_of_squares(without_moments(gradient)), sum_of_squares(gradient)
        return jnp.sqrt(squares[0]), jnp.sqrt(squares[1])

    def own(self, params: Any) -> Any:
        return params

    def opened(self, kept: Any) -> Any:
        return kept

    def closed(self, arrays: Any, kept: Any) -> Any:
        del kept
        return arrays

    def whole(self, updated: Any, params: Any) -> Any:
        del params
        return updated


class _Divided:
    def mean(self, gradient: Any) -> Any:
        number = jax.lax.axis_size(AXIS)

        def of_array(array: jax.Array) -> jax.Array:
            if not array.ndim:
                return jax.lax.pmean(array, AXIS)
            return jax.lax.psum_scatter(sharding.divided(array, number), AXIS) / number

        return jax.tree.map(of_array, gradient)

    def norms(self, gradient: Any) -> tuple[jax.Array, jax.Array]:
        norm = norm_of_parts(gradient)
        return norm, norm  # no optimiser of second moments updates parts

    def own(self, params: Any) -> Any:
        return sharding.own(params)

    def opened(self, kept: Any) -> Any:
        return jax.tree.map(
            lambda leaf: leaf.part if is_share(leaf) else leaf, kept, is_leaf=is_share
        )

    def closed(self, arrays: Any, kept: Any) -> Any:
        return jax.tree.map(
            lambda leaf, array: leaf.replace(part=array) if is_share(leaf) else array,
            kept,
            arrays,
            is_leaf=is_share,
        )

    def whole(self, updated: Any, params: Any) -> Any:
        return jax.tree.map(
            lambda part, before: sharding.gathered(part, before.shape), updated, params
        )


def sum_of_squares(tree: Any) -> jax.Array:
    """Of all entries of all arrays."""
    return sum((_squared_norm(leaf) for leaf in jax.tree.leaves(tree)), jnp.float32(0))


def _squared_norm(array: jax.Array) -> jax.Array:
    return jax.lax.platform_dependent(array, cpu=_by_rows, default=lambda a: (a**2).sum())


def _by_rows(array: jax.Array) -> jax.Array:
    """In two sums, the first over so few parts that XLA squares and adds in one pass over the array on a CPU.

    A longer sum it takes in windows there, and the squares are written to an array of their own before.
    """
    rows = jnp.atleast_1d(array)
    parts = max(number for number in range(1, 32) if len(rows) % number == 0)
    columns = (rows.reshape(parts, len(rows) // parts, *rows.shape[1:]) ** 2).sum(axis=0)
    return jax.lax.optimization_barrier(columns).sum()


def norm_of_parts(tree: Any) -> jax.Array:
    """The global norm of arrays of which each device has a part, and of single numbers that all of them have."""
    leaves = jax.tree.leaves(tree)
    parts, numbers = (
        [leaf for leaf in leaves if leaf.ndim],
        [leaf for leaf in leaves if not leaf.ndim],
    )
    squares = jax.lax.psum(sum_of_squares(parts), AXIS)
    return jnp.sqrt(squares + sum_of_squares(numbers))


WHOLE: Exchange = _Whole()  # every device has all of the optimiser's state
DIVIDED: Exchange = _Divided()  # and here a part of it, as `Share`s
