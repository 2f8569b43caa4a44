"""Binarised MNIST: training pixels drawn anew every step, validation and test drawn once for all.

P(pixel = 1) = p / 255. The training split is that of MNIST, for preprocessing 'binarise' to draw
from. The other two are stored as 0 and 255, which 'binarise' leaves alone; their draw depends on no
run's seed, so that results of different runs stand for the same binary images.
"""

import dataclasses
import os

import numpy as np

from train.data.base import SPLITS, Config, Data, Description
from train.data.datasets.tfds_images import MNIST
from train.data.storage.sources import ArraySource, Source

DRAW_SEED = 0xB1A
DESCRIPTION = dataclasses.replace(
    MNIST.description, name='binarised_mnist', origin=f'{MNIST.description.origin}, binarised'
)


class BinarisedMnist:
    """A `train.data.base.Dataset`, read from MNIST's cache."""

    def describe(self, config: Config) -> Description:
        """The description; no configuration field changes it."""
        del config
        return DESCRIPTION

    def locate(self, config: Config) -> os.PathLike | None:
        """Where MNIST is prepared on this machine, or None."""
        return MNIST.locate(config)

    def load(self, config: Config) -> Data:
        """Binarised MNIST, from MNIST's cache, which is made first if need be."""
        mnist = MNIST.load(config)

        def open_split(split: str) -> Source:
            source = mnist.source(split)
            if split == 'train':
                return source
            return ArraySource(drawn(source.gather(np.arange(len(source))), split))

        return Data(
            description=DESCRIPTION,
            open_split=open_split,
            fingerprint=f'binarised-{DRAW_SEED}-{mnist.fingerprint}',
            location=mnist.location,
            require_intact=mnist.require_intact,
        )


def drawn(pixels: np.ndarray, split: str) -> np.ndarray:
    """Grey pixels (n, D) uint8 -> the same binary images, 0 and 255, on every machine."""
    sequence = np.random.SeedSequence(DRAW_SEED, spawn_key=(SPLITS.index(split),))
    words = np.random.Philox(sequence).random_raw(-(-pixels.size // 4))
    sixteen_bits = words.astype('<u8').view('<u2')[: pixels.size].reshape(pixels.shape)
    ink = sixteen_bits.astype(np.uint32) * 255 < pixels.astype(np.uint32) * 2**16
    return np.where(ink, 255, 0).astype(np.uint8)
