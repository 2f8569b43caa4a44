"""Real NVP on POWER (Dinh et al. 2017, arXiv:1605.08803).

    python -m train.main --config=configs/real_nvp.py
    python -m train.main --config=configs/real_nvp.py:10

MAF's table and splits: 1,659,917 / 184,435 / 204,928 rows of 6 numbers. Published in Papamakarios et al. 2017,
arXiv:1705.07057: -0.02 +- 0.01 nats with five couplings, 0.17 +- 0.01 with ten. Neither has been run to its end here.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, its variant of `10` couplings, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.dataset = 'power'
    config.model = 'real_nvp'
    config.num_layers = 5
    config.real_nvp.width = 128
    config.batch_size = 512
    config.lr = 5e-4
    config.warmup = 500
    config.grad_clip = 5.0
    config.schedule = 'cosine'
    config.schedule_steps = 32_420
    config.epochs = 10
    config.look_ahead = 10
    config.steps_per_call = 200
    config.eval_batch_size = 20_000
    config.generation = False
    smoke = {'epochs': 1, 'num_layers': 2, 'max_rows': 20_000, 'schedule_steps': 39, 'warmup': 5}
    return defaults.with_variant(config, variant, {'10': {'num_layers': 10}, 'smoke': smoke})
