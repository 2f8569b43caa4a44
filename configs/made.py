"""MADE on MNIST and, with mixtures, on POWER (Germain et al. 2015, arXiv:1502.03509).

    python -m train.main --config=configs/made.py
    python -m train.main --config=configs/made.py --config.context=label
    python -m train.main --config=configs/made.py:power

Published in Papamakarios et al. 2017, arXiv:1705.07057: MADE on MNIST, logit space, -1380.8 +- 4.8 nats, given the
class -1361.9 +- 1.9; MADE with ten Gaussians a conditional on POWER 0.40 +- 0.01 nats. Obtained: MNIST -1324.7 +- 1.6
(21 CPU minutes; on training rows -1326.4, so that the noise that is drawn afresh in every epoch leaves no room to
overfit), given the class -1313.2 +- 1.6 as a marginal over classes, POWER 0.368 +- 0.013.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, its `power` variant with mixtures, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.published = '-1380.8 +- 4.8 nats (Papamakarios et al. 2017)'
    config.dataset = 'mnist'
    config.preprocessing = 'logit'
    config.model = 'made'
    config.lr = 1e-4
    config.batch_size = 128
    config.epochs = 100
    config.look_ahead = 10
    config.steps_per_call = 100
    config.generation = False
    power = {
        'dataset': 'power',
        'published': '0.40 +- 0.01 nats (Papamakarios et al. 2017)',
        'preprocessing': 'none',
        'made': {'num_components': 10, 'depth': 2, 'width': 256},
        'batch_size': 512,
        'lr': 1e-3,
        'schedule': 'cosine',
        'schedule_steps': 32_420,
        'epochs': 10,
        'eval_batch_size': 20_000,
        'steps_per_call': 200,
    }
    return defaults.with_variant(config, variant, {'power': power, 'smoke': {'epochs': 1}})
