"""The programs of a run and of a study, compiled for the devices that are here."""

import jax
import pytest

from tests.helpers import runs
from train.ahead import measures, page, programs, record
from train.ahead.topologies import Topology
from train.errors import UserError

ROWS, D = 8, 64
DIGITS = {'dataset': 'digits', 'preprocessing': 'logit', 'num_devices': 0}


def here(count):
    return Topology('cpu', jax.local_devices()[:count])


@pytest.fixture(scope='module')
def of_digits():
    """The record of a run on two devices."""
    config = runs.config(**DIGITS, batch_size=2 * ROWS, eval_batch_size=2 * ROWS)
    experiment = programs.experiment_on(config, here(2).devices)
    return record.record(experiment, here(2), 'python -m train.compile')


def test_work_of_the_relative_gradient_is_that_of_its_formulas(of_digits):
    training, validation = (of_digits['programs'][name] for name in ('training', 'validation'))
    # y = x W, y W^T and (y W^T)^T delta of each layer, delta W^T of all but the first and the last: each 2 B D^2. Of
    # each bias y b^T and its product with delta: each 2 B D.
    layers = 2
    assert training['flops'] == (4 * layers - 2) * 2 * ROWS * D**2 + 2 * layers * 2 * ROWS * D
    assert validation['flops'] == layers * 2 * ROWS * D**2
    assert training['cubic_products'] == 0
    assert training['custom_calls'] == {}
    assert validation['custom_calls']  # the LU of log|det W|


def test_everything_leaves_a_step_in_one_exchange(of_digits):
    (exchange,) = of_digits['programs']['training']['collectives']
    parameters = 2 * (D**2 + D)
    assert exchange['kind'] == 'all-reduce'
    assert exchange['number'] == 1
    assert exchange['bytes'] == 4 * (parameters + 1)  # and the sum of the one term that is logged


def test_memory_holds_the_state_and_the_rows(of_digits):
    training = of_digits['programs']['training']
    adam = 3 * 2 * (D**2 + D) * 4
    rows = training['steps'] * ROWS * (D + 4)
    assert training['memory']['arguments'] == pytest.approx(adam + rows, rel=0.02)
    assert training['memory']['share'] is None
    assert training['roofline'] is None


def test_table_has_a_column_for_each_program_and_every_product_if_asked(of_digits):
    plain, full = page.show(of_digits), page.show(of_digits, products=True)
    assert '|  | training | validation |' in plain
    assert '1 all-reduce, 33.3 kB' in plain
    line = f'| {ROWS} | {D} | {D} |'
    assert line in full
    assert line not in plain


def test_batch_as_wide_as_the_data_is_said_to_be():
    config = runs.config(**DIGITS, batch_size=D)
    experiment = programs.experiment_on(config, here(1).devices)
    (program,) = programs.programs(experiment, validation=False)
    found = measures.measure(program, here(1), D)
    assert found['cubic_products'] == 6


def test_study_gives_every_device_its_seeds():
    config = runs.config(num_devices=0, num_seeds=3, model='flow', **{'flow.num_couplings': 2})
    experiment = programs.experiment_on(config, here(2).devices)
    training, validation = programs.programs(experiment)
    found = measures.measure(training, here(2), 2)
    assert found['collectives'] == []
    assert found['flops'] > 0
    shapes = {
        leaf.shape[:2]
        for leaf in jax.tree.leaves(experiment.layout.placed(experiment.template()).params)
    }
    assert shapes == {(2, 2)}  # the third seed once more, so that they divide
    assert validation.steps == 0


def test_number_of_devices_is_that_of_the_topology():
    with pytest.raises(UserError, match='num_devices=1; leave it out'):
        programs.experiment_on(runs.config(num_devices=1), here(2).devices)
