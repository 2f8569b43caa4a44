"""Relative-gradient MLP flow on a toy density in the plane.

python -m train.main --config=configs/toy.py --config.toy_name=sine
"""

from configs import default


def get_config(variant=''):
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = default.get_config()
    config.dataset = 'toy'
    config.toy_name = 'sine'
    config.num_layers = 8
    config.alpha = 0.3
    config.batch_size = 128
    config.lr = 3e-3
    config.schedule = 'cosine'
    config.schedule_steps = 7800
    config.epochs = 200
    config.log_every = 10
    config.generation_every = 50
    smoke = {'epochs': 2, 'toy_size': 512, 'schedule_steps': 8, 'log_every': 1}
    return default.with_variant(config, variant, {'smoke': smoke})
