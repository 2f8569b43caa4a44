"""Relative-gradient MLP flow on GAS (Gresele et al. 2020, arXiv:2006.15090).

    python -m train.main --config=configs/gas.py

MAF's table and splits: 852,174 / 94,685 / 105,206 rows of 8 numbers. Published: 6.978 +- 0.020 nats
(2 standard errors). The authors published no settings for the tables; these are ours.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.published = '6.978 +- 0.020 nats (Gresele et al. 2020)'
    config.dataset = 'gas'
    config.num_layers = 16
    config.alpha = 0.3
    config.batch_size = 1024
    config.lr = 1e-2
    config.schedule = 'cosine'
    config.schedule_steps = 33_280  # 40 epochs
    config.epochs = 40
    config.look_ahead = 10
    config.eval_batch_size = 20_000
    config.generation = False
    smoke = {'epochs': 1, 'max_rows': 50_000, 'schedule_steps': 48}
    return defaults.with_variant(config, variant, {'smoke': smoke})
