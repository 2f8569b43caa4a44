"""Variational Laplace autoencoder and its rivals on SVHN (Park, Kim, Kim 2019, ICML, PMLR v97, arXiv:2211.17267).

    python -m train.main --config=configs/vlae_svhn.py --config.model=vlae
    python -m train.main --config=configs/vlae_svhn.py:pixels --config.model=vlae

`--config.model=` one of vae, sa_vae, hf, iaf, vlae; Gaussian output. Without a variant on centred logits, lambda 0.05;
`release`, `pixels` and `smoke` as in configs/vlae_mnist.py, `release` without the published
start and step. The figures published for this dataset are not at hand.
The published code trains on all 73,257 images of the train split, without the extra ones; here a tenth of them
validates.
It has not been run to its end here.
"""

from ml_collections import ConfigDict

from configs import vlae_mnist


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its variant `release`, `pixels` or `smoke`."""
    return vlae_mnist.of_dataset('svhn_cropped', variant)
