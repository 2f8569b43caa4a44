"""Glow on MNIST (Kingma, Dhariwal 2018, arXiv:1807.03039).

    python -m train.main --config=configs/glow_mnist.py
    python -m train.main --config=configs/glow_mnist.py --config.glow.dequantisation=variational
    python -m train.main --config=configs/glow_mnist.py:logit

The paper: K = 32 steps on each of three scales, couplings of 512 channels, and no MNIST; later papers report 1.05 bits
per dimension for it (Grathwohl et al. 2018, arXiv:1810.01367). Here K = 4 and 32 channels, and two scales, since 28 x
28 pixels are halved twice without padding. `variational` learns the noise within a grey level (Ho et al. 2019,
arXiv:1902.00275). The figure is a bound on log P(x) of whole grey levels from ten draws of the noise, in nats and bits
per dimension; `--config.num_samples=1` is the bound from one draw, which published figures are. Neither has been run to
its end here.

`logit` is an exact flow of noisy pixels in logit space, where each goes through a learnt spline first, with K = 6.
Obtained: -927.6 +- 1.3 nats (1.207 bits per dimension), 56 minutes of one CPU core; two dense layers are at 1.326,
four at 1.272.
"""

from ml_collections import ConfigDict

from train import config as defaults

SMOKE = {
    'epochs': 1,
    'max_rows': 1000,
    'glow': {'steps': 1, 'width': 8},
    'schedule_steps': 7,
    'warmup': 2,
    'init_examples': 64,
    'num_samples': 2,
}


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, its `logit` variant, or its `smoke` variant that ends in seconds."""
    return of_dataset('mnist', variant)


def of_dataset(dataset: str, variant: str, **fields: int | bool | dict) -> ConfigDict:
    """The experiment on another dataset, with fields of its own."""
    config = defaults.get_config()
    config.dataset = dataset
    config.preprocessing = 'levels'
    config.model = 'glow'
    config.batch_size = 128
    config.lr = 1e-3
    config.warmup = 500
    config.schedule = 'cosine'
    config.schedule_steps = 15_600
    config.epochs = 40
    config.init_examples = 512
    config.eval_batch_size = 500
    config.num_samples = 10
    config.update(fields)
    logit = {
        'preprocessing': 'logit',
        'glow': {'splines': True, 'steps': 6},
        'schedule_steps': 9750,
        'epochs': 25,
    }
    return defaults.with_variant(config, variant, {'logit': logit, 'smoke': SMOKE})
