"""Every model of the variational Laplace family starts at a finite, sane bound, at the real sizes.

Images stand for those of the datasets: gray ones with black borders (MNIST, 784 pixels) and colour ones whose pixels
move together (CIFAR-10, 3,072), on which a start that sums the pixels up is at its worst.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaes import IAFVAE, SAVAE, VAE, VLAE, HouseholderVAE

B = 16
MODELS = {'vae': VAE, 'sa_vae': SAVAE, 'hf': HouseholderVAE, 'iaf': IAFVAE, 'vlae': VLAE}


@functools.cache
def images(num_features):
    """(B, D) grey levels 0..255."""
    rng = np.random.default_rng(0)
    if num_features == 784:
        strokes = (rng.random((B, 784)) < 0.2) * rng.integers(1, 256, (B, 784))
        return np.where(np.arange(784) < 150, 0, strokes)
    brightness = rng.normal(120.0, 70.0, (B, 1)) + rng.normal(0.0, 30.0, (B, num_features))
    return np.clip(np.round(brightness), 0, 255)


def preprocessed(variant, num_features):
    """The images as the variant of the config presents them, (B, D)."""
    rng, pixels = np.random.default_rng(1), images(num_features)
    if variant == 'bernoulli':
        x = (rng.random(pixels.shape) < pixels / 255.0).astype(float)
    elif variant == 'pixels':
        x = pixels / 255.0 - (pixels / 255.0).mean(axis=0)
    else:
        squeeze = 0.05 if variant == 'logit_mean' else 1e-6
        t = squeeze + (1.0 - 2.0 * squeeze) * (pixels + rng.random(pixels.shape)) / 256.0
        x = np.log(t / (1.0 - t))
        x -= x.mean(axis=0)
        if variant == 'release':
            x /= np.sqrt((x**2).mean())
    return jnp.asarray(x, jnp.float32)


STARTS = [
    (784, {}, ('logit_mean', 'release', 'pixels')),
    (784, {'output_dist': 'bernoulli'}, ('bernoulli',)),
    (784, {'initialisation': 'published'}, ('release',)),
    (3072, {}, ('logit_mean', 'release', 'pixels')),
]
# SA-VAE and HF start from the VAE's posterior.
WIDE = ('vae', 'iaf', 'vlae')


@pytest.mark.parametrize(
    ('name', 'num_features', 'fields', 'variants'),
    [(name, *start) for name in MODELS for start in STARTS if start[0] == 784 or name in WIDE],
)
def test_first_bound_is_finite_and_its_kl_below_1000_nats(name, num_features, fields, variants):
    keys = jax.random.split(jax.random.key(2), B)
    model = MODELS[name](num_features=num_features, **fields)

    @jax.jit
    def first_step(x):
        key, step = jax.random.key(42), jnp.int32(0)
        return model.init_with_output(key, x, keys, step, method='objective')[0]

    for variant in variants:
        terms = first_step(preprocessed(variant, num_features))
        assert np.isfinite(terms['loss']).all(), variant
        assert 0.0 <= terms['kl'].mean() < 1000.0, variant
