"""NICE on SVHN (Dinh, Krueger, Bengio 2014, arXiv:1410.8516).

    python -m train.main --config=configs/nice_svhn.py
    python -m train.main --config=configs/nice_svhn.py:pytorch

The paper: four additive couplings of 4 x 2000 units, logistic prior, pixels dequantised to [0, 1]
and whitened by ZCA, Adam with its decays 0.9 and 0.99. Published: 11496.55 nats, 2.601 bits per
dimension, after up to 1,500 epochs; the paper does not say whether the whitening's log-determinant
is in it. Here `nats` leaves it out and `nats_data_space` has it. `pytorch` has the settings of the
public PyTorch code (fmu2/NICE): the even components drive first, decay 0.999, 25,000 steps of 200;
it publishes no figure.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, the setting of the PyTorch code, or the `smoke` variant that ends in seconds."""
    config = defaults.get_config()
    config.published = '11496.55 nats in data space (Dinh et al. 2014)'
    config.dataset = 'svhn_cropped'
    config.preprocessing = 'zca'
    config.model = 'nice'
    config.prior = 'logistic'
    config.nice.hidden_layers = 4
    config.nice.hidden_units = 2000
    config.batch_size = 200
    config.lr = 1e-3
    config.b2 = 0.99
    config.eps = 1e-4
    config.epochs = 1500
    config.look_ahead = 100
    config.steps_per_call = 10
    pytorch = {'nice': {'partition': 'even_first'}, 'b2': 0.999, 'epochs': 76}
    smoke = {
        'epochs': 1,
        'nice': {'hidden_layers': 1, 'hidden_units': 64},
        'max_rows': 2000,
        'preprocessing': 'mean',
    }
    return defaults.with_variant(config, variant, {'smoke': smoke, 'pytorch': pytorch})
