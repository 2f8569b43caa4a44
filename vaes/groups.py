"""Running a batch in groups, where all of it at once would take too much memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def map_groups(function: Callable[[jax.Array], Any], size: int, group: int) -> Any:
    """function(rows) over groups of at most `group` of the rows 0 .. size - 1, in turn, joined.

    `function` takes row numbers (n,) and returns a pytree of arrays with leading axis n. The last
    group repeats the last row to be as long as the others; the surplus is dropped.
    """
    count = -(-size // group)
    if count == 1:
        return function(jnp.arange(size))
    rows = jnp.arange(count * -(-size // count)).reshape(count, -1)
    results = jax.lax.map(function, jnp.minimum(rows, size - 1))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:size], results)
