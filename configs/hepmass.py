"""Relative-gradient MLP flow on HEPMASS (Gresele et al. 2020, arXiv:2006.15090).

    python -m train.main --config=configs/hepmass.py

MAF's table and splits: 315,123 / 35,013 / 174,987 rows of 21 numbers. Published: -21.958 +- 0.019
nats (2 standard errors). The authors published no settings for the tables; these are ours.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.published = '-21.958 +- 0.019 nats (Gresele et al. 2020)'
    config.dataset = 'hepmass'
    config.num_layers = 8
    config.alpha = 0.3
    config.batch_size = 512
    config.lr = 3e-3
    config.schedule = 'cosine'
    config.schedule_steps = 30_750  # 50 epochs
    config.epochs = 50
    config.look_ahead = 10
    config.eval_batch_size = 10_000
    config.generation = False
    smoke = {'epochs': 1, 'max_rows': 50_000, 'schedule_steps': 97}
    return defaults.with_variant(config, variant, {'smoke': smoke})
