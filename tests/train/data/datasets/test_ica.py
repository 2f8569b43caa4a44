"""Mixtures of independent sources: their law, their matrix, their entropy."""

import numpy as np
import pytest

from train import data
from train.data import catalogue
from train.data.datasets import ica

D, N = 6, 20_000


def config(**fields):
    return catalogue.config_of('ica', **{'seed': 0, 'ica_columns': D, 'ica_rows': N, **fields})


@pytest.mark.parametrize('kind', ica.KINDS)
def test_rows_are_sources_of_unit_variance_times_the_matrix(kind):
    rows = data.load(config(ica_sources=kind)).source('train').gather(np.arange(N))
    s = rows @ np.linalg.inv(ica.mixing_matrix(0, D))
    np.testing.assert_allclose(s, ica.sources(kind, 0, 'train', N, D), atol=1e-4)
    # Four standard deviations of the variance that is least well known.
    np.testing.assert_allclose(s.T @ s / N, np.eye(D), atol=4 * np.sqrt((s**4).mean(0).max() / N))
    excess = (s**4).mean(0) - 3
    assert (np.sign(excess) == [-1 if 'uniform' in name else 1 for name in _names(kind)]).all()


def _names(kind):
    names = ica.KINDS[kind]
    return [names[i % len(names)] for i in range(D)]


def test_entropy_of_uniform_sources_is_the_log_volume_they_fill():
    found = data.load(config(ica_sources='uniform')).entropy
    A = ica.mixing_matrix(0, D)
    assert found == pytest.approx(D * np.log(2 * 3**0.5) + np.linalg.slogdet(A)[1])


def test_matrix_has_its_condition_number_and_follows_the_seed():
    A = ica.mixing_matrix(3, D)
    assert np.linalg.cond(A) == pytest.approx(ica.CONDITION)
    np.testing.assert_array_equal(A, ica.mixing_matrix(3, D))
    assert not np.allclose(A, ica.mixing_matrix(4, D))


def test_splits_and_seeds_have_rows_of_their_own():
    first = data.load(config())
    assert first.description.split_sizes == (N, N // 10, N // 10)
    train, test = (first.source(split).gather([0]) for split in ('train', 'test'))
    assert not np.allclose(train, test)
    other = data.load(config(seed_data=1))
    assert first.fingerprint != other.fingerprint
    assert not np.allclose(train, other.source('train').gather([0]))
