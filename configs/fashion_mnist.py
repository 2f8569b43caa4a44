"""Relative-gradient MLP flow on Fashion-MNIST, with the MNIST setting of Gresele et al. 2020, arXiv:2006.15090.

    python -m train.main --config=configs/fashion_mnist.py

Logit space, lambda 1e-6, 50,000 / 10,000 / 10,000 as on MNIST. No figure is published.
"""

from train import config as defaults


def get_config(variant=''):
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.dataset = 'fashion_mnist'
    config.preprocessing = 'logit'
    config.lr = 3e-4
    config.schedule = 'cosine'
    config.schedule_steps = 19_890  # 51 epochs
    config.epochs = 51
    return defaults.with_variant(config, variant, {'smoke': {'epochs': 1, 'schedule_steps': 390}})
