"""Real NVP on POWER (Dinh et al. 2017, arXiv:1605.08803).

    python -m train.main --config=configs/real_nvp.py
    python -m train.main --config=configs/real_nvp.py:10

MAF's table and splits: 1,659,917 / 184,435 / 204,928 rows of 6 numbers. Published in Papamakarios et al. 2017,
arXiv:1705.07057: -0.02 +- 0.01 nats with five couplings, 0.17 +- 0.01 with ten. Neither has been run to its end here.
"""

from ml_collections import ConfigDict

from configs import maf
from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, its variant of `10` couplings, or its `smoke` variant that ends in seconds."""
    config = maf.on_power('real_nvp')
    config.real_nvp.width = 128
    config.published = '-0.02 +- 0.01 nats (Papamakarios et al. 2017)'
    ten = {'num_layers': 10, 'published': '0.17 +- 0.01 nats (Papamakarios et al. 2017)'}
    return defaults.with_variant(config, variant, {'10': ten, 'smoke': maf.SMOKE})
