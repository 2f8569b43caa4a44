"""Image datasets of TFDS beside MNIST: Fashion-MNIST, CIFAR-10, SVHN, Omniglot."""

import functools

import numpy as np

from train.data.acquisition.stock import StockImages
from train.data.base import Description

# Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747. Split like MNIST.
FASHION_MNIST = StockImages(
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
CIFAR10 = StockImages(
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
SVHN_CROPPED = StockImages(
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
def _area_weights(size, target):
    """(target, size) weights that average `size` pixels over `target` equal intervals."""
    edges = np.arange(target + 1) * (size / target)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels[None] + 1) - np.maximum(
        edges[:-1, None], pixels[None]
    )
    return np.clip(overlap, 0, None) * (target / size)


def ink_28x28(images):
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
OMNIGLOT = StockImages(
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
