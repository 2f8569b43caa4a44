"""Glow on CIFAR-10 (Kingma, Dhariwal 2018, arXiv:1807.03039).

    python -m train.main --config=configs/glow_cifar10.py
    python -m train.main --config=configs/glow_cifar10.py --config.glow.steps=32 --config.glow.width=512

The settings of configs/glow_mnist.py on three scales, as published, with training images mirrored at random (the
published ones are shifted as well); the second command has the published K and width, for a GPU. Published: 3.35 bits
per dimension, with 44 million parameters. Flow++ has 3.08 with `--config.glow.dequantisation=variational` among its
changes (Ho et al. 2019, arXiv:1902.00275). It has not been run to its end here.
"""

from ml_collections import ConfigDict

from configs import glow_mnist


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    return glow_mnist.of_dataset(
        'cifar10', variant, flip=True, schedule_steps=14_000, glow={'scales': 3}
    )
