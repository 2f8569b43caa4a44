"""The ordinary gradient with a kept inverse: exact when fresh, refreshed when due; a whitening start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows import MLPFlow, RelativeAffine
from flows.amortised_affine import refreshed


def rows(seed, shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def loss(model, variables, x):
    def total(params):
        terms, state = model.apply(
            {**variables, 'params': params}, x, None, 1, method='objective', mutable=['cache']
        )
        return terms['loss'].mean(), state

    return jax.grad(total, has_aux=True)(variables['params'])


@pytest.mark.parametrize('bias', [True, False])
def test_fresh_inverse_gives_the_ordinary_gradient(x64, bias):
    x = rows(0, (7, 5))
    amortised = MLPFlow(gradient='amortised', alpha=0.3, bias=bias, refresh_every=1)
    variables = amortised.init(jax.random.key(0), x, None, 0, method='objective')
    variables['params'] = jax.tree.map(
        lambda leaf: leaf + 0.1 * rows(1, leaf.shape), variables['params']
    )
    found, _ = loss(amortised, variables, x)
    expected, _ = loss(MLPFlow(gradient='ordinary', alpha=0.3, bias=bias), variables, x)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), found, expected
    )


def test_inverse_is_kept_between_refreshes(x64):
    W, x = rows(2, (4, 4)) + 3 * jnp.eye(4), rows(3, (6, 4))
    kept = jnp.linalg.inv(W) * 1.01  # one per cent off is within the tolerance
    np.testing.assert_array_equal(refreshed(x, W, kept, 3, 10), kept)
    np.testing.assert_allclose(refreshed(x, W, kept, 20, 10), jnp.linalg.inv(W), rtol=1e-12)


def test_inverse_that_fell_behind_is_refreshed_early(x64):
    W, x = rows(2, (4, 4)) + 3 * jnp.eye(4), rows(3, (6, 4))
    behind = jnp.linalg.inv(W) * 1.5
    np.testing.assert_allclose(refreshed(x, W, behind, 3, 10), jnp.linalg.inv(W), rtol=1e-12)


def test_cache_changes_in_training_only():
    x = rows(4, (6, 3)).astype(jnp.float32)
    model = MLPFlow(gradient='amortised')
    variables = model.init(jax.random.key(0), x, None, 0, method='objective')
    assert variables['cache']['affine_0']['inverse'].shape == (3, 3)
    value = model.apply(variables, x, method='log_likelihood')
    plain = MLPFlow().apply({'params': variables['params']}, x, method='log_likelihood')
    np.testing.assert_array_equal(value, plain)


def test_mapping_over_examples_counts_the_log_determinant_once(x64):
    x, W = rows(5, (6, 3)), rows(6, (3, 3))
    layer = RelativeAffine(use_bias=False, gradient='amortised')
    variables = {'params': {'W': W}, 'cache': {'inverse': jnp.linalg.inv(W)}}

    def total(W, over_rows):
        apply = lambda row: layer.apply({**variables, 'params': {'W': W}}, row)[1]  # noqa: E731
        return jax.vmap(lambda row: apply(row[None])[0])(x).sum() if over_rows else apply(x).sum()

    mapped, batched = (jax.grad(total)(W, over_rows) for over_rows in (True, False))
    np.testing.assert_allclose(mapped, batched, rtol=1e-12)
    np.testing.assert_allclose(batched, len(x) * jnp.linalg.inv(W).T, rtol=1e-12)


def test_whitening_start_whitens_what_reaches_each_layer(x64):
    x = rows(7, (500, 4)) @ rows(8, (4, 4)) + 2.0
    model = MLPFlow(start='whiten', alpha=0.3)
    variables = model.init(jax.random.key(0), x, None, 0, method='objective')
    z, _ = model.apply(variables, x, method='forward_and_log_det')
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(z.T, ddof=0), np.eye(4), atol=2e-2)
    W = variables['params']['affine_0']['W']
    np.testing.assert_allclose(W, W.T, rtol=1e-8)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match='orthogonal, whiten'):
        MLPFlow(start='warm')
    with pytest.raises(ValueError, match='relative, ordinary, amortised'):
        RelativeAffine(gradient='natural')
