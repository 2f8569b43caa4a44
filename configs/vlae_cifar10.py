"""Variational Laplace autoencoder and its rivals on CIFAR-10 (Park, Kim, Kim 2019, ICML, PMLR v97, arXiv:2211.17267).

    python -m train.main --config=configs/vlae_cifar10.py --config.model=vlae
    python -m train.main --config=configs/vlae_cifar10.py:pixels --config.model=vlae --config.vlae.n_update=8

`--config.model=` one of vae, sa_vae, hf, iaf, vlae; Gaussian output. Without a variant on centred logits, lambda 0.05;
`release`, `pixels` and `smoke` as in configs/vlae_mnist.py, `release` without the published
start and step. Published, in nats with 5,000 importance samples:

             VAE  SA-VAE    HF  VLAE
    1 step          2366  2366  2374
    2 steps         2366  2361  2381
    4 steps  2364   2366  2362  2387
    8 steps         2365  2357  2392

Steps are config.vlae.n_update, sa_vae.n_svi_step and hf.n_flow; the VAE has none. The table is read off a chart (to
0.2) that names neither the size of the networks nor the preprocessing; numbers of this size fit `pixels` and its
`nats`, a density of points on a grid that is unbounded above. The published code trains on all 50,000 images and
chooses the checkpoint on the test split; here 5,000 of them validate. It has not been run to its end here.
"""

from ml_collections import ConfigDict

from configs import vlae_mnist


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its variant `release`, `pixels` or `smoke`."""
    return vlae_mnist.of_dataset('cifar10', variant)
