"""One Gaussian with full covariance for each class of MNIST in logit space, the measure of conditional models.

    python -m train.main --config=configs/gaussian.py
    python -m train.main --config=configs/gaussian.py --config.context=

The second is a single Gaussian. Both start where the likelihood is greatest on all training rows and stay there: the
learning rate is zero. Published (Papamakarios et al. 2017): -1344.7 +- 1.8 nats and -1366.9 +- 1.4, the former, by the
authors' code, as log p(x) = log sum_c p(x | c) / 10, which `result.json` has as `marginal_over_classes`. Obtained:
-1343.3 +- 1.8 and -1365.8 +- 1.4; log p(x | c) itself is -1344.8 +- 1.9.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant that ends in seconds, on digits."""
    config = defaults.get_config()
    config.model = 'gaussian'
    config.dataset = 'mnist'
    config.context = 'label'
    config.preprocessing = 'logit'
    config.init_examples = 50_000
    config.optimizer = 'sgd'
    config.lr = 0.0
    config.batch_size = 1000
    config.steps_per_call = 10
    config.epochs = 1
    smoke = {'dataset': 'digits', 'logit_lambda': 1e-2, 'batch_size': 128}
    return defaults.with_variant(config, variant, {'smoke': smoke})
