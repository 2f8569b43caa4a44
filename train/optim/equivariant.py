"""Momentum on the relative gradient, scaled by output unit, as an optax transformation that keeps its equivariance."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from flows import OUTPUT_MOMENTS, has_output_moments


def scale_by_output_unit(decay: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """Divide the relative gradients of each layer by sqrt(S), the running second moments of its output units.

    For parameters that all belong to layers of `flows.relative.equivariant_affine`: W (D, D) and b (D,) have their
    columns divided, and S, (D,), stays. Under x -> x A + c of the data it takes the same model's steps. `init` raises a
    ValueError where a parameter belongs to none. decay: of the average of S over steps, which is corrected for its
    start at zero.
    """

    def init(params: Any) -> tuple[Any, jax.Array]:
        _check_layers_only(params)
        return jax.tree.map(jnp.zeros_like, _moments_of(params)), jnp.zeros((), jnp.int32)

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, tuple[Any, jax.Array]]:
        del params
        average, count = state
        count = count + 1
        average = jax.tree.map(
            lambda old, new: decay * old + (1 - decay) * new, average, _moments_of(gradient)
        )
        corrected = optax.tree.bias_correction(average, decay, count)
        return _scaled(gradient, corrected, eps), (average, count)

    return optax.GradientTransformation(init, update)


def equivariant(
    rate: optax.ScalarOrSchedule,
    momentum: float = 0.9,
    decay: float = 0.999,
    eps: float = 1e-8,
    others: optax.GradientTransformation | None = None,
) -> optax.GradientTransformation:
    """`scale_by_output_unit`, then heavy-ball momentum in the space of W.

    Args:
        rate: a number or a schedule.
        others: the optimiser of all parameters that belong to no layer with `gradient='equivariant'`, such as
            `optax.adam(1e-3)`. Without it `init` raises a ValueError where there are such parameters.
    """
    of_layers = optax.chain(
        scale_by_output_unit(decay, eps),
        optax.trace(decay=momentum) if momentum else optax.identity(),
        optax.scale_by_learning_rate(rate),
    )
    if others is None:
        return of_layers
    return optax.partition({True: of_layers, False: others}, _in_layers)


def without_moments(gradient: Any) -> Any:
    """A gradient with zeros where `flows.relative.equivariant_affine` hands over second moments instead."""

    def of_layer(layer: Any) -> Any:
        if not has_output_moments(layer):
            return layer
        return {**layer, OUTPUT_MOMENTS: jnp.zeros_like(layer[OUTPUT_MOMENTS])}

    return jax.tree.map(of_layer, gradient, is_leaf=has_output_moments)


def _in_layers(params: Any) -> Any:
    """For every parameter whether it belongs to a layer with second moments."""

    def of_part(part: Any) -> Any:
        return jax.tree.map(lambda _: has_output_moments(part), part)

    return jax.tree.map(of_part, params, is_leaf=has_output_moments)


def _check_layers_only(params: Any) -> None:
    parts = jax.tree.leaves_with_path(params, is_leaf=has_output_moments)
    others = [jax.tree_util.keystr(path) for path, part in parts if not has_output_moments(part)]
    if others:
        raise ValueError(
            "The equivariant optimiser moves layers with gradient='equivariant' alone, found "
            f'{", ".join(others)}: name an optimiser for such parameters, as by '
            'equivariant(rate, others=optax.adam(1e-3)).'
        )


def _moments_of(tree: Any) -> Any:
    """The S of every layer, in a tree of its layers."""
    return jax.tree.map(lambda layer: layer[OUTPUT_MOMENTS], tree, is_leaf=has_output_moments)


def _scaled(gradient: Any, moments: Any, eps: float) -> Any:
    def of_layer(layer: dict[str, jax.Array], S: jax.Array) -> dict[str, jax.Array]:
        scale = 1 / (jnp.sqrt(S) + eps)
        return {
            name: jnp.zeros_like(leaf)
            if name == OUTPUT_MOMENTS
            else leaf * jnp.expand_dims(scale, range(leaf.ndim - 1))
            for name, leaf in layer.items()
        }

    return jax.tree.map(of_layer, gradient, moments, is_leaf=has_output_moments)
