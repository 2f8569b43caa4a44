"""Relative-gradient MLP flow on MNIST (Gresele et al. 2020, arXiv:2006.15090).

    python -m train.main --config=configs/mnist.py

Logit space, lambda 1e-6, 50,000 / 10,000 / 10,000. Published: -1375.2 +- 1.4 nats (2.029 bits per dimension). Obtained:
-1369.0 +- 1.4 (2.019) after 51 epochs, in 2.5 minutes on two CPU cores.
"""

from configs import default


def get_config(variant=''):
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = default.get_config()
    config.dataset = 'mnist'
    config.preprocessing = 'logit'
    config.lr = 3e-4
    config.schedule = 'cosine'
    config.schedule_steps = 20_000
    config.epochs = 51
    return default.with_variant(config, variant, {'smoke': {'epochs': 1, 'schedule_steps': 390}})
