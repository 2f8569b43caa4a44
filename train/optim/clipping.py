"""Clipping by the global norm of a gradient of which each device has a part."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from train.step.exchange import norm_of_parts


def clip_by_global_norm_of_parts(most: float) -> optax.GradientTransformation:
    """What `optax.clip_by_global_norm` is where the whole gradient is at hand; axis `batch` has to be bound."""

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        norm = norm_of_parts(gradient)
        return jax.tree.map(lambda g: jnp.where(norm < most, g, g / norm * most), gradient), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
