"""Masked autoregressive flow on POWER (Papamakarios et al. 2017, arXiv:1705.07057).

    python -m train.main --config=configs/maf.py
    python -m train.main --config=configs/maf.py:10

MAF's table and splits: 1,659,917 / 184,435 / 204,928 rows of 6 numbers. Published: MAF(5) 0.14 +- 0.01, MAF(10)
0.24 +- 0.01 nats, with plain networks, reversals and batch norm; 0.45 +- 0.01 in Durkan et al. 2019, arXiv:1906.04032,
with residual networks and matrices L U between ten layers. Here: MAF(5) and MAF(10) in the second way. Obtained:
MAF(5) 0.164 +- 0.014 nats, 22 CPU minutes; MAF(10) 0.286 +- 0.014 nats, 45 CPU minutes.
"""

from ml_collections import ConfigDict

from train import config as defaults

SMOKE = {'epochs': 1, 'num_layers': 2, 'max_rows': 20_000, 'schedule_steps': 39, 'warmup': 5}


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, its variant of `10` layers, or its `smoke` variant that ends in seconds."""
    config = on_power('maf')
    config.published = '0.14 +- 0.01 nats (Papamakarios et al. 2017)'
    config.maf.width = 128
    config.maf.residual = True
    config.maf.mixing = 'lu'
    ten = {'num_layers': 10, 'published': '0.45 +- 0.01 nats (Durkan et al. 2019)'}
    return defaults.with_variant(config, variant, {'10': ten, 'smoke': SMOKE})


def on_power(model: str) -> ConfigDict:
    """Five layers of a flow on POWER."""
    config = defaults.get_config()
    config.dataset = 'power'
    config.model = model
    config.num_layers = 5
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
    return config
