"""The image datasets of TFDS: splits, order, sizes; their figures where they are prepared here."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from train import data
from train.data.acquisition import tfds_library
from train.data.datasets import binarised_mnist
from train.data.datasets.tfds_images import CIFAR10, IMAGES, MNIST, OMNIGLOT, TfdsImages, ink_28x28
from train.data.storage import cache, prepared_directory
from train.errors import UserError

# Mean and standard deviation of the pixels / 255 over train and validation, and over test.
FIGURES = {
    'mnist': ((0.13066, 0.30811), (0.13251, 0.31048)),
    'fashion_mnist': ((0.28604, 0.35302), (0.28685, 0.35244)),
    'cifar10': (((0.49140, 0.48216, 0.44653), None), ((0.49421, 0.48513, 0.45041), None)),
    'omniglot': ((0.077940, None), (0.084284, None)),
}


def config(**fields):
    places = {'data_dir': '', 'manual_dir': '', 'cache_dir': '', 'source': 'map', 'max_rows': 0}
    return SimpleNamespace(**places | {'context': ''} | fields)


@pytest.fixture(scope='session')
def prepared_images(tmp_path_factory):
    """name -> `Data`, from the environment's TFDS directory; skips what is not prepared there."""
    cache_dir = tmp_path_factory.mktemp('images')

    def load(name):
        root = os.environ.get('TFDS_DATA_DIR')
        dataset = next(dataset for dataset in (MNIST, *IMAGES) if dataset.name == name)
        if not root or prepared_directory.find([root], name, dataset.version) is None:
            pytest.skip(f'set TFDS_DATA_DIR to a directory that holds {name} {dataset.version}')
        return dataset.load(config(data_dir=root, cache_dir=str(cache_dir)))

    return load


def rows_of(opened, split):
    source = opened.source(split)
    return source.gather(np.arange(len(source)))


@pytest.mark.parametrize('name', FIGURES)
def test_prepared_datasets_have_the_published_figures_and_disjoint_splits(prepared_images, name):
    opened = prepared_images(name)
    splits = [rows_of(opened, split) for split in data.SPLITS]
    assert [rows.shape for rows in splits] == [
        (size, opened.num_features) for size in opened.description.split_sizes
    ]
    assert {rows.dtype for rows in splits} == {np.dtype(np.uint8)}
    for rows, (mean, std) in zip(
        [np.concatenate(splits[:2]), splits[2]], FIGURES[name], strict=True
    ):
        channels = np.size(mean)
        found = rows.reshape(-1, channels).mean(0, dtype=np.float64) / 255
        np.testing.assert_allclose(found, np.reshape(mean, -1), atol=2e-5)
        if std is not None:
            assert rows.std(dtype=np.float64) / 255 == pytest.approx(std, abs=1e-5)
    distinct = [{row.tobytes() for row in rows} for rows in splits]
    common = len(distinct[0] & distinct[1]) + len((distinct[0] | distinct[1]) & distinct[2])
    # Fashion-MNIST has a few identical images under several names from the start.
    assert common <= (100 if name == 'fashion_mnist' else 0)


class FakeTfds:
    """Stands in for TFDS: a prepared dataset of any content."""

    def __init__(self, monkeypatch, tmp_path, **features):
        self.features = features
        self.found = prepared_directory.Prepared(
            tmp_path, 'fake', '1', {'train': len(next(iter(features.values())))}, 'tfrecord', 'k'
        )
        monkeypatch.setattr(tfds_library, '_batches', self.batches)
        monkeypatch.setattr(tfds_library, 'ROWS_PER_READ', 4)

    def batches(self, prepared, split, names):
        size = prepared.splits[split]
        for start in range(0, size, 4):
            yield {name: self.features[name][start : start + 4] for name in names}


def test_cifar_stands_in_its_original_order_whatever_the_order_of_reading(monkeypatch, tmp_path):
    order = np.random.default_rng(0).permutation(11)
    pictures = np.arange(11 * 12, dtype=np.uint8).reshape(11, 2, 2, 3)
    ids = np.array([f'train_{i:05d}'.encode() for i in range(11)])
    fake = FakeTfds(monkeypatch, tmp_path, image=pictures[order], id=ids[order])
    found = np.concatenate(list(CIFAR10.blocks(fake.found, 'train')))
    np.testing.assert_array_equal(found, pictures.reshape(11, 12))


def test_labels_stand_behind_the_images_that_they_belong_to(monkeypatch, tmp_path):
    order = np.random.default_rng(0).permutation(11)
    pictures = np.arange(11 * 12, dtype=np.uint8).reshape(11, 2, 2, 3)
    ids = np.array([f'train_{i:05d}'.encode() for i in range(11)])
    labels = np.arange(11) % 10
    features = {'image': pictures[order], 'label': labels[order], 'id': ids[order]}
    fake = FakeTfds(monkeypatch, tmp_path, **features)
    found = np.concatenate(list(CIFAR10.with_labels(10).blocks(fake.found, 'train')))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.column_stack([pictures.reshape(11, 12), labels]))


def test_labelled_cache_is_never_taken_for_the_other(tmp_path):
    for dataset in (MNIST, MNIST.with_labels(10)):
        other = MNIST.with_labels(10) if dataset is MNIST else MNIST
        directory = tmp_path / dataset.cache_name
        source = prepared_directory.Prepared(directory, 'mnist', '3.0.1', {}, 'tfrecord', 'k')
        splits = {'test': lambda: iter([np.zeros((2, 3), np.uint8)])}
        cache.write(directory, source, splits, dataset.cache_name)
        assert cache.find([directory], dataset.cache_name, '3.0.1') is not None
        assert cache.find([directory], other.cache_name, '3.0.1') is None


def test_missing_examples_are_an_error(monkeypatch, tmp_path):
    fake = FakeTfds(monkeypatch, tmp_path, image=np.zeros((11, 2, 2, 1), np.uint8))
    fake.features['image'] = fake.features['image'][:9]
    with pytest.raises(UserError, match=r'the train split in .*9 examples instead of 11'):
        list(MNIST.blocks(fake.found, 'train'))


def test_published_splits_are_disjoint_parts_of_train():
    sizes = {dataset.name: dataset.description.split_sizes for dataset in IMAGES}
    assert sizes == {
        'fashion_mnist': (50_000, 10_000, 10_000),
        'cifar10': (45_000, 5_000, 10_000),
        'svhn_cropped': (65_932, 7_325, 26_032),
        'omniglot': (15_424, 3_856, 13_180),
    }
    assert sizes['svhn_cropped'][0] + sizes['svhn_cropped'][1] == 73_257
    assert [dataset.name for dataset in IMAGES if dataset.description.mirrored] == ['cifar10']


def test_versions_are_those_that_tfds_has():
    tfds = tfds_library.datasets_library()
    for dataset in (MNIST, *IMAGES):
        builder = tfds.builder_cls(dataset.name)
        assert str(builder.VERSION) == dataset.version


def test_drawings_are_averaged_over_areas():
    drawing = np.full((2, 105, 105, 3), 255, np.uint8)
    drawing[0, :15, :30] = 0  # 105 / 28 = 3.75: four by eight pixels of the small image
    small = ink_28x28(drawing).reshape(2, 28, 28)
    expected = np.zeros((28, 28), np.uint8)
    expected[:4, :8] = 255
    np.testing.assert_array_equal(small[0], expected)
    assert not small[1].any()


def test_averaging_keeps_the_share_of_ink():
    ink = np.random.default_rng(0).random((3, 105, 105, 1)) < 0.1
    small = ink_28x28(np.where(ink, 0, 255).astype(np.uint8).repeat(3, -1))
    np.testing.assert_allclose(small.mean(1) / 255, ink.mean((1, 2, 3)), atol=1e-3)
    assert OMNIGLOT.description.num_features == small.shape[1]


def test_fixed_binary_images_are_draws_of_the_grey_ones_that_never_change():
    pixels = np.tile(np.array([0, 1, 64, 254, 255], np.uint8), (4000, 1))
    test, validation = (binarised_mnist.drawn(pixels, split) for split in ('test', 'validation'))
    assert (test != validation).any()
    np.testing.assert_array_equal(test, binarised_mnist.drawn(pixels, 'test'))
    p = np.array([0, 1, 64, 254, 255]) / 255
    assert set(np.unique(test)) == {0, 255}
    assert (np.abs(test.mean(0) / 255 - p) <= 4 * np.sqrt(p * (1 - p) / 4000)).all()
    # The draw is fixed for ever.
    assert (test == 255).sum(0).tolist() == [0, 13, 1019, 3992, 4000]


def test_binarised_mnist_is_grey_in_training_and_binary_elsewhere(monkeypatch, tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (70_000, 4)).astype(np.uint8)
    source = prepared_directory.Prepared(tmp_path, 'mnist', '3.0.1', {}, 'tfrecord', 'k')
    splits = {'train': lambda: iter([rows[:60_000]]), 'test': lambda: iter([rows[60_000:]])}
    found = cache.write(tmp_path, source, splits)
    monkeypatch.setattr(TfdsImages, 'cached', lambda *_: found)
    opened = data.load(config(dataset='binarised_mnist'))
    grey = data.load(config(dataset='mnist'))
    np.testing.assert_array_equal(rows_of(opened, 'train'), rows[:50_000])
    for split in ('validation', 'test'):
        assert set(np.unique(rows_of(opened, split))) == {0, 255}
        assert (rows_of(opened, split)[rows_of(grey, split) == 255] == 255).all()
    assert opened.fingerprint != grey.fingerprint
    assert opened.name == 'binarised_mnist'
