"""The trainer's Adam takes the steps of optax's."""

import jax
import numpy as np
import optax
import pytest

from flows import OUTPUT_MOMENTS
from tests.helpers import runs
from train.optim import optimizers
from train.optim.adam import scale_by_adam


@pytest.mark.parametrize(('b1', 'b2', 'eps'), [(0.9, 0.999, 1e-8), (0.0, 0.9, 1e-2)])
def test_adam_is_that_of_optax(x64, b1, b2, eps):
    params = {'W': np.ones((3, 2)), 'b': np.ones(2)}
    ours, theirs = scale_by_adam(b1, b2, eps), optax.scale_by_adam(b1, b2, eps)
    state, reference = ours.init(params), theirs.init(params)
    draws = np.random.default_rng(0)
    for step in range(30):
        scale = 10.0 ** (step % 5 - 3)
        gradient = jax.tree.map(lambda leaf, s=scale: s * draws.normal(size=leaf.shape), params)
        updates, state = ours.update(gradient, state)
        expected, reference = theirs.update(gradient, reference)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), updates, expected)
    jax.tree.map(np.testing.assert_array_equal, state, reference)


def test_config_gives_the_optimisers_with_their_rates_and_decays():
    params = {'W': np.full((2, 2), 3.0)}
    moments = {'b1': 0.8, 'b2': 0.7, 'eps': 1e-3}
    for name, theirs in (
        ('adam', optax.adam(1e-2, **moments)),
        ('adamw', optax.adamw(1e-2, weight_decay=0.1, **moments)),
        ('adamax', optax.adamax(1e-2, **moments)),
    ):
        decay = {'weight_decay': 0.1} if name == 'adamw' else {}
        ours = optimizers.create(runs.config(optimizer=name, lr=1e-2, **moments, **decay))
        state, reference = ours.init(params), theirs.init(params)
        for value in (0.5, -2.0):
            gradient = {'W': np.full((2, 2), value)}
            updates, state = ours.update(gradient, state, params)
            expected, reference = theirs.update(gradient, reference, params)
            np.testing.assert_allclose(updates['W'], expected['W'], rtol=1e-5)


@pytest.mark.parametrize('optimizer', ['sgd', 'equivariant'])
def test_learnt_activations_move_by_adam_at_a_rate_of_their_own(optimizer):
    gradient = 'equivariant' if optimizer == 'equivariant' else 'relative'
    fields = {'nonlinearity': 'spline', 'optimizer': optimizer, 'mlp_flow.gradient': gradient}
    config = runs.config(lr=1e-2, **fields, **{'mlp_flow.activation_rate': 5.0})
    layer = {'W': np.eye(2), 'b': np.zeros(2)}
    if optimizer == 'equivariant':
        layer[OUTPUT_MOMENTS] = np.ones(2)
    params = {'affine_0': layer, 's_0': {'log_width': np.zeros((4, 2))}}
    ours = optimizers.create(config)
    updates, _ = ours.update(
        params | {'s_0': {'log_width': np.full((4, 2), 7.0)}}, ours.init(params), params
    )
    np.testing.assert_allclose(updates['s_0']['log_width'], -5e-2, rtol=1e-4)
    np.testing.assert_allclose(np.diagonal(updates['affine_0']['W']), -1e-2, rtol=1e-4)
