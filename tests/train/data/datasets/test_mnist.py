"""MNIST itself: prepared here if need be, cached, read without TensorFlow, and its known figures."""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from train import data
from train.data.acquisition import preparation, tfds_library
from train.data.datasets.tfds_images import MNIST
from train.data.preprocessing import Preprocessing
from train.data.storage import prepared_directory
from train.errors import UserError

VERSION = '3.0.1'
REPOSITORY = pathlib.Path(data.__file__).parents[2]


def config(data_dir, cache_dir, **fields):
    defaults = {
        'dataset': 'mnist',
        'preprocessing': 'logit',
        'logit_lambda': 1e-6,
        'manual_dir': '',
        'source': 'map',
        'max_rows': 0,
        'context': '',
        'flip': False,
        'symmetric_range': False,
    }
    return SimpleNamespace(
        **defaults | {'data_dir': str(data_dir), 'cache_dir': str(cache_dir)} | fields
    )


@pytest.fixture(scope='session')
def mnist_dir(tmp_path_factory):
    """A TFDS data directory that holds MNIST: the environment's, the user's, or one made here."""
    root = os.environ.get('TFDS_DATA_DIR')
    if root and prepared_directory.find([root], 'mnist', VERSION):
        return pathlib.Path(root)
    empty = tmp_path_factory.mktemp('tfds')
    prepared = preparation.prepare(config(empty, ''), 'mnist', VERSION, MNIST.wheel)
    return pathlib.Path(prepared.root)


@pytest.fixture(scope='session')
def mnist_cache(mnist_dir, tmp_path_factory):
    cache_dir = tmp_path_factory.mktemp('cache')
    data.load(config(mnist_dir, cache_dir))
    return cache_dir


@pytest.fixture
def mnist(mnist_dir, mnist_cache):
    return data.load(config(mnist_dir, mnist_cache))


def rows_of(opened, split):
    source = opened.source(split)
    return source.gather(np.arange(len(source)))


def test_splits_have_the_published_sizes_and_figures(mnist):
    train, validation, test = (rows_of(mnist, split) for split in data.SPLITS)
    assert [rows.shape for rows in (train, validation, test)] == [
        (50_000, 784),
        (10_000, 784),
        (10_000, 784),
    ]
    assert {rows.dtype for rows in (train, validation, test)} == {np.dtype(np.uint8)}
    everything = np.concatenate([train, validation])
    assert everything.mean() / 255 == pytest.approx(0.13066, abs=1e-5)
    assert everything.std() / 255 == pytest.approx(0.30811, abs=1e-5)
    assert test.mean() / 255 == pytest.approx(0.13251, abs=1e-5)
    assert test.std() / 255 == pytest.approx(0.31048, abs=1e-5)


def test_splits_do_not_overlap(mnist):
    splits = [{row.tobytes() for row in rows_of(mnist, split)} for split in data.SPLITS]
    assert not splits[0] & splits[1]
    assert not (splits[0] | splits[1]) & splits[2]


def test_validation_is_the_end_of_train_as_tfds_reads_it(mnist, mnist_dir):
    _, tfds = tfds_library.libraries()
    last = tfds.load('mnist', split='train[-5:]', data_dir=str(mnist_dir), download=False)
    images = np.stack([example['image'].ravel() for example in last.as_numpy_iterator()])
    np.testing.assert_array_equal(
        mnist.source('validation').gather(np.arange(9_995, 10_000)), images
    )


def test_load_needs_neither_tensorflow_nor_the_prepared_directory(mnist, mnist_cache, tmp_path):
    program = """
        import hashlib, sys
        from types import SimpleNamespace
        sys.modules['tensorflow'] = sys.modules['tensorflow_datasets'] = None
        import numpy as np
        from train import data
        opened = data.load(SimpleNamespace(
            dataset='mnist', data_dir='', manual_dir='', cache_dir=sys.argv[1], source='map', max_rows=0, context=''))
        digest = hashlib.sha256()
        for split in data.SPLITS:
            source = opened.source(split)
            digest.update(source.gather(np.arange(len(source))).tobytes())
        print(opened.fingerprint, digest.hexdigest())
    """
    environment = {**os.environ, 'HOME': str(tmp_path), 'PYTHONPATH': str(REPOSITORY)}
    environment.pop('TFDS_DATA_DIR', None)
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(program), str(mnist_cache)],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    digest = hashlib.sha256(b''.join(rows_of(mnist, split).tobytes() for split in data.SPLITS))
    assert done.stdout.split() == [mnist.fingerprint, digest.hexdigest()]


def test_second_load_reads_the_cache_alone(mnist_dir, mnist_cache, mnist, monkeypatch):
    monkeypatch.setattr(tfds_library, 'libraries', lambda: pytest.fail('TensorFlow was asked'))
    again = data.load(config(mnist_dir, mnist_cache))
    assert again.fingerprint == mnist.fingerprint
    assert again.location == mnist.location


def test_truncated_cache_is_made_again(mnist_dir, mnist_cache, mnist, tmp_path):
    shutil.copytree(mnist_cache, tmp_path / 'cache')
    (damaged,) = (tmp_path / 'cache').glob('mnist-*/test.npy')
    os.truncate(damaged, damaged.stat().st_size // 2)
    repaired = data.load(config(mnist_dir, tmp_path / 'cache'))
    np.testing.assert_array_equal(rows_of(repaired, 'test'), rows_of(mnist, 'test'))
    assert repaired.fingerprint == mnist.fingerprint


def test_record_cut_short_is_an_error_that_names_the_split(mnist_dir, tmp_path):
    broken = tmp_path / 'tfds'
    shutil.copytree(mnist_dir / 'mnist', broken / 'mnist')
    shard = broken / 'mnist' / VERSION / 'mnist-test.tfrecord-00000-of-00001'
    shard.chmod(0o644)
    os.truncate(shard, shard.stat().st_size - 100)
    source = prepared_directory.find([broken], 'mnist', VERSION)
    with pytest.raises(UserError, match=r'the test split in .*3\.0\.1 is damaged.*delete'):
        list(tfds_library.example_blocks(source, 'test', ['image']))


def test_logit_space_is_4620_nats_and_minus_half_a_bit_from_data_space(mnist):
    """The measured conversion for lambda = 1e-6: -1375.2 nats in logit space are 2.029 bits per dimension."""
    settings = config('', '')
    preprocessing = Preprocessing.fit(settings, mnist.description, mnist.source('train'))

    @jax.jit
    def log_det(keys, pixels):
        return preprocessing.forward_and_log_det(preprocessing.encode(pixels, keys, False))[1]

    keys = jax.random.split(jax.random.key(0, impl='threefry2x32'), 1000)
    test = rows_of(mnist, 'test').reshape(10, 1000, 784)
    blocks = [log_det(jax.vmap(jax.random.fold_in, (0, None))(keys, i), test[i]) for i in range(10)]
    delta = np.mean(np.concatenate(blocks), dtype=np.float64)
    assert delta == pytest.approx(4620.0, abs=0.3)
    assert preprocessing.units.bits_per_dim(delta, 784) == pytest.approx(-0.5018, abs=6e-4)
    assert preprocessing.units.bits_per_dim(-1375.2 + delta, 784) == pytest.approx(2.029, abs=1e-3)


def test_cache_of_another_dataset_of_the_same_name_is_refused(mnist_cache, mnist_dir):
    smaller = dataclasses.replace(MNIST.description, split_sizes=(40_000, 10_000, 10_000))
    other = dataclasses.replace(MNIST, description=smaller).load(config(mnist_dir, mnist_cache))
    with pytest.raises(UserError, match='60000 rows where 50000 are expected'):
        other.source('train')
