"""Relative-gradient MLP flow on CIFAR-10 (Gresele et al. 2020, arXiv:2006.15090).

    python -m train.main --config=configs/cifar10.py

Logit space, lambda 0.05, 45,000 / 5,000 / 10,000, training images mirrored at random. No figure is published for this
model; a full-covariance Gaussian has 2367 nats in the same space (Papamakarios et al. 2017, arXiv:1705.07057, whose
flows reach 3049). Start, gradient and slope are those that won on MNIST; it has not been run to its end here.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant on a few images."""
    config = defaults.get_config()
    config.dataset = 'cifar10'
    config.preprocessing = 'logit'
    config.logit_lambda = 0.05
    config.flip = True
    config.alpha = 0.2
    config.mlp_flow.start = 'whiten'
    config.mlp_flow.gradient = 'equivariant'
    config.optimizer = 'equivariant'
    config.lr = 1e-3
    config.warmup = 1000
    config.schedule = 'cosine'
    config.schedule_steps = 17_550  # 50 epochs
    config.epochs = 50
    config.steps_per_call = 10
    smoke = {'epochs': 1, 'max_rows': 400, 'warmup': 0, 'schedule_steps': 3, 'steps_per_call': 3}
    return defaults.with_variant(config, variant, {'smoke': smoke})
