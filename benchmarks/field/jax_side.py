"""The updates of a flow in JAX, whichever library it comes from."""

import jax
import jax.numpy as jnp


def training(task, step, state):
    """A function that makes the updates of a turn by `step(*state, rows) -> state`."""
    batches = [jnp.asarray(x) for x in task.batches()]

    def turn():
        nonlocal state
        for x in batches:
            state = step(*state, x)
        jax.block_until_ready(state)

    return turn
