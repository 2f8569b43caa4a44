"""NICE on Fashion-MNIST, with the settings of the public PyTorch code (fmu2/NICE).

    python -m train.main --config=configs/nice_fashion_mnist.py

Dinh, Krueger, Bengio 2014, arXiv:1410.8516: four additive couplings of 5 x 1000 units, the even
components drive first, logistic prior. Pixels dequantised to [0, 1] and centred, Adam 0.9 and 0.999
with epsilon 1e-4, 25,000 steps of 200. The code publishes no figure, and its mean of Fashion-MNIST
was that of MNIST; here it is Fashion-MNIST's.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.dataset = 'fashion_mnist'
    config.preprocessing = 'mean'
    config.model = 'nice'
    config.prior = 'logistic'
    config.nice.partition = 'even_first'
    config.batch_size = 200
    config.lr = 1e-3
    config.eps = 1e-4
    config.epochs = 100
    smoke = {'epochs': 1, 'nice': {'hidden_layers': 1, 'hidden_units': 64}}
    return defaults.with_variant(config, variant, {'smoke': smoke})
