"""The optimiser's state divided among devices trains what every device having all of it trains."""

import jax
import numpy as np
import pytest
from etils import epath

from tests.helpers import runs
from train import data as datasets
from train.ahead import measures, programs
from train.ahead.topologies import Topology
from train.errors import UserError
from train.optim import optimizers
from train.step import sharding
from train.training import experiment as experiments
from train.training import loop

# Widths of which 8 devices get whole rows, 64 of digits, and of which they do not, 2.
DIGITS = {'dataset': 'digits', 'preprocessing': 'logit', 'max_rows': 192}
SHARED = {'parallel': 'shard_map', 'shard_optimizer': True}


def largest_difference(left, right):
    def of_leaf(a, b):
        return np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max()

    return max(jax.tree.leaves(jax.tree.map(of_leaf, left, right)))


@pytest.mark.parametrize('shape', [(16, 3), (5, 3), (7,), (1,), (3, 3, 2, 5)])
def test_parts_are_of_one_size_and_the_whole_again(shape):
    array = np.arange(1, np.prod(shape) + 1).reshape(shape)
    parts = sharding.divided(array, 8)
    assert len(parts) == 8
    assert parts.sum() == array.sum()
    np.testing.assert_array_equal(sharding.joined(parts, shape), array)


@pytest.mark.parametrize(
    'fields',
    [
        {**DIGITS, 'ema': 0.9},
        {'optimizer': 'adamw', 'weight_decay': 0.1, 'toy_size': 192},
        {'optimizer': 'sgd', 'grad_clip': 0.5, 'toy_size': 192},
    ],
    ids=['adam', 'adamw', 'sgd'],
)
def test_steps_are_those_of_a_state_that_all_devices_have(fields):
    config = {'parallel': 'shard_map', **fields}
    whole, metrics = runs.train(runs.config(**config), 6, num_devices=8)
    parts, metrics_of_parts = runs.train(
        runs.config(**config, shard_optimizer=True), 6, num_devices=8
    )
    print(largest_difference((whole.params, whole.opt_state, whole.average), (parts.params, parts.opt_state, parts.average)))
    assert jax.tree.structure(whole) == jax.tree.structure(parts)
    assert largest_difference(whole, parts) < 1e-6
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), metrics, metrics_of_parts
    )
