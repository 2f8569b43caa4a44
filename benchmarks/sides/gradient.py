"""The sides of `benchmarks.relative_gradient`: one gradient each, compiled; and the published times."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.sides import ways

LAYERS = 2
EVERY = 10  # steps between two refreshes of the amortised gradient
WHOLE_JACOBIAN_UP_TO = 128  # components
# Seconds of one gradient read off the figure of Gresele et al. 2020, arXiv:2006.15090; hardware, batch and number of
# layers are not given, the reading is good to six per cent.
PUBLISHED_D = (500, 1500, 2500, 3500, 4500, 5500, 7500, 10_500, 13_500, 15_500, 19_500, 23_500)
PUBLISHED = {
    'relative': (
        2.8e-4,
        7.9e-4,
        1.8e-3,
        3.2e-3,
        5e-3,
        7.3e-3,
        0.0134,
        0.025,
        0.0415,
        0.056,
        0.088,
        0.129,
    ),
    'explicit inverse': (0.052, 0.18, 0.32, 0.48, 0.68, 0.87, 1.4, 2.39, 3.85, 5.24, 8.5),
    'whole Jacobian': (0.16, 1.7),
}


def compiled(function, *arguments):
    """(side, temporary bytes) of a function compiled for these arguments; the side waits for its result.

    Each result is written over the one before, as the state of training is: fresh memory costs more time on a CPU than
    a relative gradient.
    """
    result = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *arguments)
    )
    program = jax.jit(lambda _, *a: function(*a), donate_argnums=0, keep_unused=True)
    program = program.lower(result, *arguments).compile()

    def run():
        nonlocal result
        result = jax.block_until_ready(program(result, *arguments))

    return run, program.memory_analysis().temp_size_in_bytes


def amortised_sides(params, x):
    """The sides of the amortised gradient: name -> (side, temporary bytes, gradients in a call)."""
    gradient, cache = jax.tree.map(jnp.copy, params), ways.amortised_cache(params, EVERY)
    now = 0
    program = jax.jit(
        lambda _, cache, step, params, x: ways.amortised(params, cache, x, step, EVERY),
        donate_argnums=(0, 1),
        keep_unused=True,
    )
    program = program.lower(gradient, cache, np.int32(now), params, x).compile()

    def run(step):
        nonlocal gradient, cache
        gradient, cache = jax.block_until_ready(program(gradient, cache, np.int32(step), params, x))

    def average():
        nonlocal now
        for step in range(now, now + EVERY):
            run(step)
        now += EVERY

    average()
    memory = program.memory_analysis().temp_size_in_bytes
    return {
        # Step 0 is past: its refresh has been made, and no other is due at it.
        'amortised, between': (lambda: run(0), memory, 1),
        'amortised, average': (average, memory, EVERY),
    }


def sides_of(width, batch, left_out):
    """name -> (side, temporary bytes, gradients in a call), without those that are left out."""
    params = ways.parameters(LAYERS, width)
    x = jax.random.normal(jax.random.key(1), (batch, width))
    simple = {
        'relative': ways.relative,
        'explicit inverse': ways.explicit_inverse,
        'slogdet autodiff': ways.slogdet_autodiff,
    }
    if width <= WHOLE_JACOBIAN_UP_TO:
        simple['whole Jacobian'] = ways.jacobian_autodiff
    sides = {
        name: (*compiled(function, params, x), 1)
        for name, function in simple.items()
        if name not in left_out
    }
    if 'amortised, average' not in left_out:
        sides |= amortised_sides(params, x)
    return sides
