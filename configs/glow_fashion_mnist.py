"""Glow on Fashion-MNIST (Kingma, Dhariwal 2018, arXiv:1807.03039).

    python -m train.main --config=configs/glow_fashion_mnist.py
    python -m train.main --config=configs/glow_fashion_mnist.py --config.glow.dequantisation=variational

The settings of configs/glow_mnist.py. The paper has published no figure for this dataset. It has not been run to its
end here.
"""

from ml_collections import ConfigDict

from configs import glow_mnist


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    return glow_mnist.of_dataset('fashion_mnist', variant)
