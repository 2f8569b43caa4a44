"""Encoders: exact grids, noise that belongs to its example, draws of grey levels, mirrored images."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.pixels import keys, raw
from train.data.preprocessing.encoders import Binarise, Dequantise, Flip, Identity, Scale


@pytest.mark.parametrize('training', [False, True])
def test_dequantised_values_are_exact_grid_midpoints_in_float32(training):
    pixels = raw(200, 500)
    t = np.asarray(Dequantise(256).encode(pixels, keys(200), training))
    assert t.dtype == np.float32
    grid = t.astype(np.float64) * 2**24
    np.testing.assert_array_equal(grid % 2, 1)  # p + u = odd / 2^16
    np.testing.assert_array_equal(np.floor(t.astype(np.float64) * 256), pixels)
    assert (t.min() > 0, t.max() < 1) == (True, True)
    np.testing.assert_array_equal((1 - t).astype(np.float64), 1 - t.astype(np.float64))


def test_dequantisation_noise_is_uniform():
    pixels = np.full((2000, 50), 7, np.uint8)
    u = np.asarray(Dequantise(256).encode(pixels, keys(2000), True), np.float64) * 256 - 7
    n = u.size
    assert abs(u.mean() - 0.5) < 4 / math.sqrt(12 * n)
    assert abs(u.var() - 1 / 12) < 4 * math.sqrt(1 / 180 / n)
    gap = np.abs(np.sort(u.ravel()) - (np.arange(n) + 0.5) / n).max()
    assert gap < 2.2 / math.sqrt(n)  # Kolmogorov-Smirnov, p = 1e-4
    assert len(np.unique(u[:, 0])) > 1900


def test_noise_belongs_to_the_example_not_to_its_batch():
    pixels, encoder = raw(), Dequantise(256)
    together = encoder.encode(pixels, keys(6), True)
    alone = jnp.concatenate(
        [encoder.encode(pixels[i : i + 1], keys(6)[i : i + 1], True) for i in range(6)]
    )
    np.testing.assert_array_equal(together, alone)
    assert (np.asarray(encoder.encode(pixels, keys(6, seed=1), True)) != np.asarray(together)).any()


@pytest.mark.parametrize('levels', [2, 17, 256])
def test_any_number_of_levels_stays_inside_the_unit_interval(levels):
    pixels = raw(50, 400, levels)
    t = np.asarray(Dequantise(levels).encode(pixels, keys(50), True))
    assert (t.min() > 0, t.max() < 1) == (True, True)
    assert (np.abs(t * levels - 0.5 - pixels) <= 0.5 + 1e-5).all()


@pytest.mark.usefixtures('x64')
def test_float64_gives_the_same_dequantised_numbers():
    t = Dequantise(256).encode(raw(), keys(6), True)
    assert t.dtype == jnp.float64
    with jax.enable_x64(False):
        np.testing.assert_array_equal(t, Dequantise(256).encode(raw(), keys(6), True))


def test_identity_leaves_real_numbers_alone():
    x = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    np.testing.assert_array_equal(Identity().encode(x, keys(4), True), x)


def test_binarised_pixels_are_bernoulli_draws_of_their_grey_level():
    n = 4000
    pixels = np.tile(np.array([0, 1, 64, 254, 255], np.uint8), (n, 1))
    x = np.asarray(Binarise(256).encode(pixels, keys(n), True))
    assert set(np.unique(x)) == {0.0, 1.0}
    p = np.array([0, 1, 64, 254, 255]) / 255
    assert (np.abs(x.mean(0) - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()
    np.testing.assert_array_equal(x, Binarise(256).encode(pixels, keys(n), False))
    assert (x != np.asarray(Binarise(256).encode(pixels, keys(n, seed=1), True))).any()


def test_training_images_are_mirrored_half_of_the_time_and_others_never():
    images = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(1, -1).repeat(400, 0)
    encoder = Flip(Scale(256), (2, 3, 3))
    plain = np.asarray(Scale(256).encode(images, None, True))
    mirrored = plain.reshape(-1, 2, 3, 3)[:, :, ::-1].reshape(400, -1)
    np.testing.assert_allclose(encoder.encode(images, keys(400), False), plain, rtol=1e-6)
    found = np.asarray(encoder.encode(images, keys(400), True))
    found, plain, mirrored = (np.rint(255 * t) for t in (found, plain, mirrored))
    flipped = (found == mirrored).all(1)
    assert (flipped | (found == plain).all(1)).all()
    assert abs(flipped.mean() - 0.5) < 4 * 0.5 / 20
