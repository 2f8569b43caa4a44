"""How VAEs, ladder VAEs, DRAW and a coupling flow train over many seeds on binarised images.

    python -m train.study --config=configs/study_mnist.py --config.model=study_vae
    python -m train.study --config=configs/study_mnist.py --config.model=draw --config.dataset=omniglot

`--config.model=` one of study_vae, lvae, draw, draw2, draw3, draw4, flow. Images are binarised anew whenever training
sees them; validation has a fixed draw. Published, ten seeds, 500 epochs (flow: 40), validation loss in nats at the end:
MNIST VAE 125.07, LVAE 126.1, DRAW 86.52, DRAW2 86.20, DRAW3 85.99, DRAW4 85.79, flow 176.5 (lowest 162.2, seven seeds
of ten lost); Omniglot DRAW 117.42, DRAW2 117.62, DRAW3 114.96, DRAW4 115.28, which overfit (lowest 114.75, 113.67,
109.56, 108.32). Published rate: 1e-3 (flow: 1e-4), constant for 150 epochs, then falling to zero at epoch 1000. Here
all models have one budget, and a cosine that ends with it; a shorter study sets `epochs` and `schedule_steps` (390
steps an epoch on MNIST, 120 on Omniglot). The weight of the KL grows over 3,900 steps, published: over 100 epochs. The
ladder VAE merges its encoder with the prior; `--config.lvae.separate_merge=True` gives it the published networks of its
own. `--config.draw.attention=N` lets DRAW read and write windows of N x N filters, which the published study did not.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The study, or its `smoke` variant that ends in seconds for the VAE."""
    config = defaults.get_config()
    config.model = 'study_vae'
    config.kl = 'analytic'
    config.dataset = 'mnist'
    config.preprocessing = 'binarise'
    config.num_seeds = 10
    config.batch_size = 128
    config.lr = 1e-3
    config.schedule = 'cosine'
    config.schedule_steps = 195_000
    config.kl_warmup_steps = 3900
    config.epochs = 500
    config.look_ahead = 1000
    config.init_examples = 512
    config.eval_batch_size = 1000
    config.num_samples = 100
    config.seed_data = 0
    smoke = {
        'epochs': 2,
        'max_rows': 512,
        'num_seeds': 2,
        'schedule_steps': 8,
        'kl_warmup_steps': 4,
        'init_examples': 64,
        'eval_batch_size': 256,
        'num_samples': 5,
    }
    return defaults.with_variant(config, variant, {'smoke': smoke})
