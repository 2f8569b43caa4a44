"""Independent component analysis by maximum likelihood: one affine layer, trained by its relative gradient.

    python -m train.main --config=configs/ica.py
    python -m train.main --config=configs/ica.py:any --config.ica_sources=mixed
    python -m train.main --config=configs/ica.py:wide

The data are mixtures of 20 sources, by a matrix that the seed gives; `config.ica_sources` names their densities, and
`train.diagnostics.unmixing` reads the unmixing matrix from a run, in the units of the data, and its Amari distance from
the true one. The base is the density of a hyperbolic secant, right for sources with heavier tails than a Gaussian.
The variant `learnt` has a spline behind the layer, which learns how heavy the tails of each source are. `any` starts
from a Gaussian, with faster splines, for sources of lighter tails too, of which the other two find nothing; it needs
mixtures that are not yet close to Gaussian themselves, and so not too many sources.

The rule is Fisher scoring, `train.optim.scoring`, on the relative gradient; nothing overfits, so that the last step is
the one to keep. Amari distances of 20 Laplace sources by the first command and by `learnt` are 0.0082 and 0.0073, means
of three seeds (`python -m benchmarks.ica`). Of 100 Laplace sources `any` finds none.

`wide` has 784 sources of a generalised Gaussian density of shape 1/2, sparse enough that 15,680 rows of their mixtures
are still told from Gaussian ones, and momentum on the relative gradient, whose steps cost O(B D^2). It ends at
0.00327, as does Picard begun at the true matrix; after half as many epochs a few sources are still mixed.
"""

from typing import Any

from ml_collections import ConfigDict

from train import config as defaults

# Source densities that are learnt: a spline behind the layer, which starts as the identity.
LEARNT: dict[str, Any] = {
    'nonlinearity': 'spline',
    'alpha': 1.0,
    'mlp_flow': {'learnt_base': True, 'activation_rate': 0.01},
}
ANY: dict[str, Any] = {
    **LEARNT,
    'prior': 'gaussian',
    'mlp_flow': {'learnt_base': True, 'activation_rate': 0.05},
}
# Many sparse sources; the rate falls slowly enough for the last of them to be told apart.
WIDE: dict[str, Any] = {
    'ica_sources': 'gennorm',
    'ica_columns': 784,
    'ica_rows': 15_680,
    'optimizer': 'equivariant',
    'b1': 0.9,
    'b2': 0.99,
    'lr': 0.08,
    'batch_size': 1568,
    'epochs': 220,
    'eval_every': 220,
    'log_every': 220,
}


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, its variants `learnt`, `any` and `wide`, or `smoke`, which ends in seconds."""
    config = defaults.get_config()
    config.dataset = 'ica'
    config.ica_sources = 'super_gaussian'
    config.ica_columns = 20
    config.ica_rows = 10_000
    config.preprocessing = 'standardise'
    config.prior = 'hyperbolic_secant'
    config.num_layers = 1
    config.mlp_flow.start = 'whiten'
    config.mlp_flow.gradient = 'equivariant'
    config.optimizer = 'scoring'
    config.b1 = 0.5
    config.b2 = 0.9
    config.batch_size = 1000
    config.lr = 0.3
    config.warmup = 30
    config.schedule = 'cosine'
    config.epochs = 60
    config.eval_every = 60
    config.log_every = 60
    config.generation = False
    smoke: dict[str, Any] = {
        'ica_columns': 4,
        'ica_rows': 2000,
        'batch_size': 200,
        'epochs': 20,
        'eval_every': 20,
        'log_every': 20,
    }
    variants = {'learnt': LEARNT, 'any': ANY, 'wide': WIDE, 'smoke': smoke}
    return defaults.with_variant(config, variant, variants)
