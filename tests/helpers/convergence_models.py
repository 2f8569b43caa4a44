"""Small and published instances of the convergence study's models, for its tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from flows.coupling.coupling_flow import CouplingFlow
from flows.coupling.mlp import MLPConditioner
from flows.image.image_flow import DenseNet, ImageFlow, MultiScaleFlow
from vaes.convergence_vae import ConvergenceVAE, IndependentGaussian
from vaes.draw import DRAW
from vaes.ladder_vae import LadderVAE

TOY = {'num_features': 2, 'hidden': (128, 128, 128), 'output': IndependentGaussian()}
PUBLISHED = {
    'flow': (CouplingFlow(), 2, 82_824),
    'vae': (ConvergenceVAE(latent_dim=4, **TOY), 2, 68_620),
    'lvae': (LadderVAE(latent_dims=(4, 4, 4), separate_merge=True, **TOY), 2, 79_164),
    'image_flow': (ImageFlow(), 784, 3_634_680),
    'image_vae': (ConvergenceVAE(), 784, 1_162_000),
    'image_lvae': (LadderVAE(separate_merge=True), 784, 1_464_464),
    'draw': (DRAW(), 784, 3_262_304),
    'draw2': (DRAW(read_error=False), 784, 2_459_488),
    'draw3': (DRAW(accumulate=False), 784, 3_262_304),
    'draw4': (DRAW(read_error=False, accumulate=False), 784, 2_459_488),
}
SMALL_IMAGE = {'shape': (4, 4, 1)}
SMALL = {
    'coupling_flow': CouplingFlow(conditioner=MLPConditioner((8, 8))),
    'image_flow': ImageFlow(**SMALL_IMAGE, flow=MultiScaleFlow(2, 1, DenseNet(4, 1, 2))),
    'vae': ConvergenceVAE(num_features=16, hidden=(8, 8), latent_dim=3),
    'gaussian_vae': ConvergenceVAE(
        num_features=2, hidden=(8,), latent_dim=3, output=IndependentGaussian()
    ),
    'lvae': LadderVAE(num_features=16, hidden=(8, 8), latent_dims=(3, 2)),
    'lvae_separate_merge': LadderVAE(
        num_features=2,
        hidden=(8, 8),
        latent_dims=(3, 2),
        output=IndependentGaussian(),
        separate_merge=True,
    ),
    'draw': DRAW(**SMALL_IMAGE, hidden=6, latent_dim=2, num_steps=3),
    'draw4_attention': DRAW(
        shape=(4, 2, 2),
        hidden=6,
        latent_dim=2,
        num_steps=3,
        read_error=False,
        accumulate=False,
        attention=2,
    ),
}
BINARY = {'image_flow', 'vae', 'lvae', 'draw', 'draw4_attention'}


def example_keys(n, seed=0):
    return jax.random.split(jax.random.key(seed, impl='threefry2x32'), n)


@functools.partial(jax.jit, static_argnums=0)
def init(model, x):
    rngs = {'params': jax.random.key(1)}
    return model.init(rngs, x, example_keys(len(x)), jnp.int32(0), method='objective')


def moved(variables, scale=0.3):
    """The variables off their start, so that no layer is the identity by its initialisation."""
    rng = np.random.default_rng(7)

    def step(leaf):
        return leaf + jnp.asarray(scale * rng.normal(size=leaf.shape), leaf.dtype)

    return jax.tree.map(step, variables)


@functools.cache
def prepared(name):
    """The model, its variables and a batch of six examples."""
    model = SMALL[name]
    x = jax.random.normal(jax.random.key(2), (6, 16 if name in BINARY else 2))
    if name in BINARY:
        x = (x > 0).astype(jnp.float32)
    return model, init(model, x), x


def objective(model, variables, x, keys, step):
    """The training objective as the trainer calls it: axis 'batch' bound, collections mutable."""

    def call(x, keys):
        collections = [name for name in variables if name != 'params']
        terms, _ = model.apply(variables, x, keys, step, method='objective', mutable=collections)
        return terms

    mapped = jax.vmap(call, axis_name='batch')(x[None], keys[None])
    return jax.tree.map(lambda leaf: leaf[0], mapped)
