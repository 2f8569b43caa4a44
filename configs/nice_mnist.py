"""NICE on MNIST (Dinh, Krueger, Bengio 2014, arXiv:1410.8516).

    python -m train.main --config=configs/nice_mnist.py

Four additive couplings of 5 x 1000 units, logistic prior, pixels dequantised to [0, 1], Adam with the paper's decays.
Published: 1980.50 nats on [0, 1], 4.356 bits per dimension, after up to 1,500 epochs (the ICLR workshop version).
"""

from configs import default


def get_config(variant=''):
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = default.get_config()
    config.dataset = 'mnist'
    config.model = 'nice'
    config.prior = 'logistic'
    config.batch_size = 200
    config.lr = 1e-3
    config.b2 = 0.99
    config.eps = 1e-4
    config.epochs = 1500
    config.look_ahead = 100
    smoke = {'epochs': 1, 'hidden_layers': 1, 'hidden_units': 64}
    return default.with_variant(config, variant, {'smoke': smoke})
