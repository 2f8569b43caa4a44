"""Glow on SVHN (Kingma, Dhariwal 2018, arXiv:1807.03039).

    python -m train.main --config=configs/glow_svhn.py
    python -m train.main --config=configs/glow_svhn.py --config.glow.steps=32 --config.glow.width=512

The settings of configs/glow_mnist.py on three scales, as published; the second command has the published K and width,
for a GPU. The paper has published no figure for this dataset. It has not been run to its end here.
"""

from ml_collections import ConfigDict

from configs import glow_mnist


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    return glow_mnist.of_dataset('svhn_cropped', variant, schedule_steps=20_600, glow={'scales': 3})
