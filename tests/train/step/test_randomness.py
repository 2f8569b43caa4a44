"""Keys are pure functions of (seed, purpose, step, example)."""

import itertools

import jax
import numpy as np

from train.step.randomness import PURPOSES, example_keys


def bits(keys):
    return np.asarray(jax.random.key_data(keys))


def test_key_of_an_example_does_not_depend_on_its_batch():
    together = bits(example_keys(7, 'noise', 3, np.arange(10)))
    apart = np.concatenate([bits(example_keys(7, 'noise', 3, np.array([i]))) for i in range(10)])
    np.testing.assert_array_equal(together, apart)


def test_every_argument_changes_the_key():
    drawn = [
        bits(example_keys(seed, purpose, step, np.array([index]))).tobytes()
        for seed, purpose, step, index in itertools.product([0, 1], PURPOSES, [0, 1], [0, 1])
    ]
    assert len(set(drawn)) == len(drawn)


def test_traced_seed_gives_the_same_keys():
    traced = jax.jit(lambda seed: example_keys(seed, 'noise', 0, np.arange(3)))(np.uint32(5))
    np.testing.assert_array_equal(bits(traced), bits(example_keys(5, 'noise', 0, np.arange(3))))
