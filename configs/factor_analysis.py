"""Factor analysis of MNIST in logit space, the linear model that others have to beat.

python -m train.main --config=configs/factor_analysis.py
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds, on digits."""
    config = defaults.get_config()
    config.model = 'factor_analysis'
    config.dataset = 'mnist'
    config.preprocessing = 'logit'
    config.lr = 1e-3
    config.schedule = 'cosine'
    config.schedule_steps = 3900
    config.epochs = 10
    smoke = {
        'dataset': 'digits',
        'logit_lambda': 1e-2,
        'factor_analysis': {'num_factors': 10},
        'epochs': 2,
        'schedule_steps': 24,
    }
    return defaults.with_variant(config, variant, {'smoke': smoke})
