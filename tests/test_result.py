"""The number at the end: units, errors, the printed line."""

import json
import math

import numpy as np
import pytest

from train import result
from train.data.units import Units


def test_mean_and_two_standard_errors_are_those_of_float64():
    values = np.random.default_rng(0).normal(-1e6, 1.0, size=10_000).astype(np.float32)
    mean, error = result.mean_and_error(values)
    assert mean == pytest.approx(values.astype(np.float64).mean(), rel=1e-12)
    assert error == pytest.approx(2 * values.astype(np.float64).std() / 100, rel=1e-9)


def test_published_likelihood_in_all_three_units():
    # The expected log-determinant of the logit on the MNIST test split is 4620.1 nats.
    values = {'log_likelihood': np.full(10, -1375.2), 'log_det': np.full(10, 4620.1)}
    found = result.likelihood(values, Units(levels=256), 784)
    assert found['nats'] == pytest.approx(-1375.2)
    assert found['nats_data_space'] == pytest.approx(3244.9)
    assert found['bits_per_dim'] == pytest.approx(2.029, abs=5e-4)
    assert found['nats_2se'] == pytest.approx(0.0, abs=1e-9)
    assert (found['N'], found['D']) == (10, 784)


def test_real_valued_data_have_no_bits():
    values = {'log_likelihood': np.zeros(3), 'log_det': np.ones(3)}
    assert 'bits_per_dim' not in result.likelihood(values, Units(levels=None), 2)


def test_provenance_is_json_and_names_the_machine():
    found = json.loads(json.dumps(result.provenance()))
    assert found['device_count'] == 8
    assert found['versions']['jax']
    assert len(found['commit'] or 40 * ' ') == 40


@pytest.mark.parametrize(
    ('error', 'decimals'),
    [(1.4, 1), (14.2, 1), (0.45, 2), (0.013, 3), (0.0, 1), (math.nan, 1), (math.inf, 1)],
)
def test_error_shows_two_digits(error, decimals):
    assert result.decimals(error) == decimals


def test_line_has_the_published_form_with_units():
    found = {
        'nats': -1375.23,
        'nats_2se': 1.41,
        'nats_data_space': 3244.9,
        'bits_per_dim': 2.0291,
        'exact': True,
        'N': 10_000,
    }
    assert result.line('test', found).startswith('Test set evaluation: -1375.2 +- 1.4 nats (')
    assert '2.029 bits per dimension; exact' in result.line('test', found)
    bound = {**found, 'exact': False, 'num_samples': 5000}
    assert 'a bound, 5000 samples' in result.line('validation', bound)
