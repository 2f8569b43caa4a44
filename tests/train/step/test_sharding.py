"""The optimiser's state divided among devices trains what every device having all of it trains."""

import jax
import numpy as np
import pytest
from etils import epath

from tests.helpers import runs
from train.ahead import measures, programs
from train.ahead.topologies import Topology
from train.errors import UserError
from train.step import sharding
from train.studies import many_seeds
from train.training import experiment as experiments
from train.training import loop

SHARED = {'parallel': 'shard_map', 'shard_optimizer': True}
SMALL = {'toy_size': 192, 'eval_batch_size': 64}


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
    ('num_devices', 'fields', 'most'),
    [
        (2, {'ema': 0.9}, 0.0),  # whole rows of W, of D = 2
        (8, {'optimizer': 'adamw', 'weight_decay': 0.1}, 0.0),  # numbers, and zeros behind them
        (8, {'optimizer': 'sgd', 'grad_clip': 0.5}, 1e-6),  # the norm sums in another order
    ],
    ids=['average', 'padding', 'clipping'],
)
def test_steps_are_those_of_a_state_that_all_devices_have(num_devices, fields, most):
    config = {**SMALL, 'parallel': 'shard_map', **fields}
    whole, metrics = runs.train(runs.config(**config), 6, num_devices)
    parts, of_parts = runs.train(runs.config(**config, shard_optimizer=True), 6, num_devices)
    assert jax.tree.structure(whole) == jax.tree.structure(parts)
    assert largest_difference(whole, parts) <= most
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), metrics, of_parts)


def test_run_goes_on_with_other_devices_to_the_bit(tmp_path):
    """Saved by eight devices, resumed by two; validated and tested with the average that they put together."""

    def trained(name, **fields):
        results = [
            loop.run(
                runs.config(
                    **{**SMALL, 'ema': 0.9, 'num_devices': count, 'epochs': epochs}, **fields
                ),
                epath.Path(tmp_path / name),
                mute=True,
            )
            for count, epochs in ((8, 1), (2, 2))
        ]
        return [result.nats for result in results], runs.latest(tmp_path / name)[0]

    nats, state = trained('parts', **SHARED)
    expected, whole = trained('whole')
    assert nats == expected
    runs.assert_same_bits(state, whole)


def test_device_keeps_a_part_of_the_moments_and_of_the_average():
    here, D = Topology('cpu', jax.local_devices()), 64

    def measured(**fields):
        config = runs.config(
            dataset='digits',
            preprocessing='logit',
            num_devices=0,
            ema=0.9,
            steps_per_call=1,
            **fields,
        )
        experiment = programs.experiment_on(config, here.devices)
        return measures.measure(next(programs.programs(experiment, validation=False)), here, D)

    whole, parts = measured(), measured(**SHARED)
    kept = 3 * 2 * (D**2 + D) * 4  # two moments and the average of two layers
    spared = whole['memory']['arguments'] - parts['memory']['arguments']
    assert spared == pytest.approx(kept * 7 / 8, rel=0.001)
    kinds = {each['kind'] for each in parts['collectives']}
    assert kinds == {'reduce-scatter', 'all-gather', 'all-reduce'}  # the last for sums alone
    most = max(each['bytes'] for each in parts['collectives'] if each['kind'] == 'all-reduce')
    assert most <= 16


@pytest.mark.parametrize(
    ('fields', 'sentence'),
    [
        ({'parallel': 'pmap'}, 'works with config.parallel=shard_map, found pmap: set that too'),
        (
            {'optimizer': 'equivariant', 'mlp_flow.gradient': 'equivariant'},
            'config.optimizer=equivariant needs whole matrices: use adam, adamw, adamax or sgd',
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(fields, sentence):
    with pytest.raises(UserError, match=sentence):
        experiments.create(runs.config(**{**SHARED, **fields}))


def test_study_has_nothing_to_divide():
    with pytest.raises(UserError, match='shard_optimizer has no meaning in a study'):
        many_seeds.check_fields(runs.config(num_seeds=2, **SHARED))
