"""Relative-gradient MLP flow on Fashion-MNIST, with the splits and logits of Gresele et al. 2020, arXiv:2006.15090.

    python -m train.main --config=configs/fashion_mnist.py

Logit space, lambda 1e-6, 50,000 / 10,000 / 10,000 as on MNIST. No figure is published. Start,
gradient and slope are those that won on MNIST; it has not been run to its end here.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.dataset = 'fashion_mnist'
    config.preprocessing = 'logit'
    config.alpha = 0.2
    config.mlp_flow.start = 'whiten'
    config.mlp_flow.gradient = 'equivariant'
    config.optimizer = 'equivariant'
    config.lr = 1e-3
    config.warmup = 1000
    config.schedule = 'cosine'
    config.schedule_steps = 19_890  # 51 epochs
    config.epochs = 51
    smoke = {'epochs': 1, 'schedule_steps': 390, 'warmup': 50}
    return defaults.with_variant(config, variant, {'smoke': smoke})
