"""Variational Laplace autoencoder and its rivals on MNIST (Park, Kim, Kim 2019, ICML, PMLR v97).

    python -m train.main --config=configs/vlae_mnist.py --config.model=vlae
    python -m train.main --config=configs/vlae_mnist.py:bernoulli --config.model=vlae

`--config.model=` one of vae, sa_vae, hf, iaf, vlae. Without a variant: Gaussian output on centred logits (lambda 0.05).
Published, 5,000 importance samples after 2,000 epochs: logit VAE -408.5, SA-VAE -409.4, HF -411.1, IAF -402.7, VLAE
-381.2 (on logits with lambda 1e-6 divided by a scalar, another scale); `bernoulli`, binarised, T = 4: VAE -85.37,
SA-VAE -85.42, HF -85.22, IAF -84.03, VLAE -83.73.
"""

from configs import default


def get_config(variant=''):
    """The experiment, its `bernoulli` variant, or `smoke` that ends in seconds."""
    config = default.get_config()
    config.dataset = 'mnist'
    config.model = 'vlae'
    config.preprocessing = 'logit_mean'
    config.logit_lambda = 0.05
    config.batch_size = 128
    config.lr = 5e-4
    config.epochs = 2000
    config.look_ahead = 200
    config.eval_every = 5
    config.eval_batch_size = 200
    variants = {
        'bernoulli': {'preprocessing': 'binarise', 'output_dist': 'bernoulli'},
        'smoke': {'epochs': 1, 'hidden_dim': 32, 'z_dim': 4, 'iaf_dim': 32, 'num_samples': 10},
    }
    return default.with_variant(config, variant, variants)
