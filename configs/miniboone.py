"""Relative-gradient MLP flow on MINIBOONE (Gresele et al. 2020, arXiv:2006.15090).

    python -m train.main --config=configs/miniboone.py

MAF's table and splits: 29,556 / 3,284 / 3,648 rows of 43 numbers. Published: -13.372 +- 0.450 nats
(2 standard errors). The authors published no settings for the tables; these are ours.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.published = '-13.372 +- 0.450 nats (Gresele et al. 2020)'
    config.dataset = 'miniboone'
    config.num_layers = 8
    config.alpha = 0.3
    config.batch_size = 128
    config.lr = 1e-3
    config.schedule = 'cosine'
    config.schedule_steps = 23_000  # 100 epochs
    config.epochs = 100
    config.look_ahead = 20
    config.generation = False
    smoke = {'epochs': 1, 'schedule_steps': 230}
    return defaults.with_variant(config, variant, {'smoke': smoke})
