"""Momentum on the relative gradient, scaled by output unit, as an optax transformation that keeps its equivariance."""

import jax
import jax.numpy as jnp
import optax


def scale_by_output_unit(decay=0.999, eps=1e-8):
    """Divide the relative gradients of each layer by sqrt(S), the running second moments of its output units.

    For parameters in which every dict with an S, (D,), is a layer of `flows.equivariant_affine`: its W (D, D) and its
    b (D,) have their columns divided, and S stays. Under x -> x A + c of the data it takes the same model's steps.
    decay: of the average of S over steps, which is corrected for its start at zero.
    """

    def init(params):
        return jax.tree.map(jnp.zeros_like, _moments_of(params)), jnp.zeros((), jnp.int32)

    def update(gradient, state, params=None):
        del params
        average, count = state
        count = count + 1
        average = jax.tree.map(
            lambda old, new: decay * old + (1 - decay) * new, average, _moments_of(gradient)
        )
        corrected = optax.tree.bias_correction(average, decay, count)
        return _scaled(gradient, corrected, eps), (average, count)

    return optax.GradientTransformation(init, update)


def equivariant(rate, momentum=0.9, decay=0.999, eps=1e-8):
    """`scale_by_output_unit`, then heavy-ball momentum in the space of W. rate: a number or a schedule."""
    return optax.chain(
        scale_by_output_unit(decay, eps),
        optax.trace(decay=momentum) if momentum else optax.identity(),
        optax.scale_by_learning_rate(rate),
    )


def without_moments(gradient):
    """A gradient with zeros where `flows.equivariant_affine` hands over second moments instead."""

    def of_layer(layer):
        return {**layer, 'S': jnp.zeros_like(layer['S'])} if _is_layer(layer) else layer

    return jax.tree.map(of_layer, gradient, is_leaf=_is_layer)


def _is_layer(tree):
    return isinstance(tree, dict) and 'S' in tree


def _moments_of(tree):
    """The S of every layer, in a tree of its layers."""
    return jax.tree.map(lambda layer: layer['S'], tree, is_leaf=_is_layer)


def _scaled(gradient, moments, eps):
    def of_layer(layer, S):
        scale = 1 / (jnp.sqrt(S) + eps)
        return {
            name: jnp.zeros_like(leaf)
            if name == 'S'
            else leaf * jnp.expand_dims(scale, range(leaf.ndim - 1))
            for name, leaf in layer.items()
        }

    return jax.tree.map(of_layer, gradient, moments, is_leaf=_is_layer)
