"""NICE on MNIST (Dinh, Krueger, Bengio 2014, arXiv:1410.8516).

    python -m train.main --config=configs/nice_mnist.py
    python -m train.main --config=configs/nice_mnist.py:pytorch

The paper: four additive couplings of 5 x 1000 units, logistic prior, pixels dequantised to [0, 1],
Adam with its decays 0.9 and 0.99. Published: 1980.50 nats on [0, 1], 4.356 bits per dimension,
after up to 1,500 epochs (the ICLR workshop version). `pytorch` has the settings of the public
PyTorch code (fmu2/NICE): pixels centred, the even components drive first, decay 0.999, 25,000 steps
of 200; it publishes no figure.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, the setting of the PyTorch code, or the `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.published = '1980.50 nats in data space (Dinh et al. 2014)'
    config.dataset = 'mnist'
    config.model = 'nice'
    config.prior = 'logistic'
    config.batch_size = 200
    config.lr = 1e-3
    config.b2 = 0.99
    config.eps = 1e-4
    config.epochs = 1500
    config.look_ahead = 100
    pytorch = {
        'preprocessing': 'mean',
        'nice': {'partition': 'even_first'},
        'b2': 0.999,
        'epochs': 100,
    }
    smoke = {'epochs': 1, 'nice': {'hidden_layers': 1, 'hidden_units': 64}}
    return defaults.with_variant(config, variant, {'smoke': smoke, 'pytorch': pytorch})
