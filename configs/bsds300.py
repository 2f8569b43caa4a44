"""Relative-gradient MLP flow on BSDS300 (Gresele et al. 2020, arXiv:2006.15090).

    python -m train.main --config=configs/bsds300.py

MAF's patches and splits: 1,000,000 / 50,000 / 250,000 rows of 63 numbers, as they are. Published:
151.12 +- 0.28 nats (2 standard errors), of the patches as they are stored. They are standardised
for the flow, so compare `nats_data_space` of the result. The authors published no settings for the
tables; these are ours.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.published = '151.12 +- 0.28 nats in data space (Gresele et al. 2020)'
    config.dataset = 'bsds300'
    config.preprocessing = 'standardise'
    config.num_layers = 8
    config.alpha = 0.3
    config.batch_size = 512
    config.lr = 1e-3
    config.schedule = 'cosine'
    config.schedule_steps = 97_650  # 50 epochs
    config.epochs = 50
    config.look_ahead = 10
    config.eval_batch_size = 10_000
    config.generation = False
    smoke = {'epochs': 1, 'max_rows': 50_000, 'schedule_steps': 97}
    return defaults.with_variant(config, variant, {'smoke': smoke})
