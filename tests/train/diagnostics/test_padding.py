"""Warnings about shapes that waste a TPU."""

from train.diagnostics.padding import tpu_waste


def test_full_tiles_are_silent():
    assert tpu_waste(num_features=256, rows_per_device=16) == []


def test_little_waste_is_silent():
    assert tpu_waste(num_features=3071, rows_per_device=127) == []


def test_waste_is_named_with_its_share():
    features, rows = tpu_waste(num_features=64, rows_per_device=10)
    assert '64 becomes 128, so 50%' in features
    assert '10 becomes 16, so 38%' in rows
    assert 'choose a multiple' in rows
