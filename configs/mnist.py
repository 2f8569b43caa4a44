"""MLP flow on MNIST (Gresele et al. 2020, arXiv:2006.15090), from a whitening start by the amortised gradient.

    python -m train.main --config=configs/mnist.py

Logit space, lambda 1e-6, 50,000 / 10,000 / 10,000. Published, with the relative gradient: -1375.2 +- 1.4 nats (2.029
bits per dimension). Obtained: -1226.1 +- 1.7 (1.756) after 102 epochs, 3.1 seconds each on two CPU cores to itself.
Slope, learning rate, prior and depth were chosen on the validation split, see RESULTS.md.
"""

from configs import default


def get_config(variant=''):
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = default.get_config()
    config.dataset = 'mnist'
    config.preprocessing = 'logit'
    config.alpha = 0.2
    config.start = 'whiten'
    config.gradient = 'amortised'
    config.lr = 1e-3
    config.warmup = 1000
    config.schedule = 'cosine'
    config.schedule_steps = 39_780
    config.epochs = 102
    config.generation_every = 50
    config.eval_batch_size = 5000  # each call factors every W
    smoke = {'epochs': 1, 'schedule_steps': 390, 'warmup': 50}
    return default.with_variant(config, variant, {'smoke': smoke})
