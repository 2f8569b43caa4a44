"""The ordinary gradient by lagged inverses: exact when fresh, refreshed when due; a whitening start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows import MLPFlow, RelativeAffine, SmoothLeakyReLU
from flows.relative.lagged_affine import LaggedInverses, first_inverses, refreshed
from flows.relative.newton_schulz import newton_schulz


def rows(seed, shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def matrices(seed, layers=2, size=4):
    return tuple(rows(seed, (layers, size, size)) + 3 * jnp.eye(size)[None])


def transposed_inverses(W):
    return tuple(jnp.linalg.inv(W_l).T for W_l in W)


def scaled(W, *factors):
    return tuple(f * V for f, V in zip(factors, transposed_inverses(W), strict=True))


def gradient(model, variables, x, step=1):
    def total(params):
        terms, state = model.apply(
            {**variables, 'params': params}, x, None, step, method='objective', mutable=['cache']
        )
        return terms['loss'].mean(), state

    return jax.grad(total, has_aux=True)(variables['params'])


def perturbed(variables):
    params = jax.tree.map(lambda leaf: leaf + 0.1 * rows(1, leaf.shape), variables['params'])
    return {**variables, 'params': params}


@pytest.mark.parametrize(('inversion', 'tolerance'), [('lu', 1e-10), ('newton_schulz', 1e-4)])
@pytest.mark.parametrize('bias', [True, False])
def test_fresh_inverses_give_the_ordinary_gradient(x64, bias, inversion, tolerance):
    x = rows(0, (7, 5))

    def flow(**fields):
        layer = RelativeAffine(use_bias=bias, **fields)
        return MLPFlow(activation=SmoothLeakyReLU(0.3), layer=layer)

    lagged = flow(gradient='amortised', refresh_every=1, inversion=inversion)
    variables = perturbed(lagged.init(jax.random.key(0), x, None, 0, method='objective'))
    found, _ = gradient(lagged, variables, x)
    expected, _ = gradient(flow(gradient='ordinary'), variables, x)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=1e-7), found, expected
    )


def test_layer_of_its_own_keeps_its_inverse(x64):
    x, layer = rows(0, (7, 5)), RelativeAffine(gradient='amortised')
    variables = perturbed(layer.init(jax.random.key(0), x))

    def total(params, step):
        of_layer = {**variables, 'params': params}
        (y, log_det), _ = layer.apply(of_layer, x, step, mutable=['cache'])
        return (y**2).sum() - log_det.sum()

    def ordinary(params):
        y, log_det = RelativeAffine(gradient='ordinary').apply({'params': params}, x)
        return (y**2).sum() - log_det.sum()

    expected = jax.grad(ordinary)(variables['params'])
    # Due at step 1, and before the first step no step is known and the gradient ordinary.
    for step in (1, None):
        found = jax.grad(total)(variables['params'], step)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), found, expected)


def test_inverses_are_kept_until_they_are_due(x64):
    W = matrices(2)
    kept = LaggedInverses(scaled(W, 1.01, 1.01), jnp.int32(4), jnp.int32(7))
    for leaf, same in zip(*map(jax.tree.leaves, (refreshed(kept, W, 6, 10), kept)), strict=True):
        np.testing.assert_array_equal(leaf, same)
    fresh = refreshed(kept, W, 7, 10)
    np.testing.assert_allclose(fresh.V, transposed_inverses(W), rtol=1e-12)
    assert fresh.due == 7 + fresh.interval


@pytest.mark.parametrize(('factor', 'interval'), [(1.01, 8), (1.4, 4), (1.7, 2)])
def test_interval_follows_how_far_the_inverses_fell_behind(x64, factor, interval):
    W = matrices(2)
    # One layer alone decides.
    kept = LaggedInverses(scaled(W, 1.0, factor), jnp.int32(4), jnp.int32(0))
    assert refreshed(kept, W, 5, 100).interval == interval
    assert refreshed(kept, W, 5, 3).interval == min(interval, 3)


def test_interval_grows_from_one_to_its_limit(x64):
    W = matrices(2)
    kept, refreshes = first_inverses(W), []
    for step in range(30):
        if step >= kept.due:
            refreshes.append(step)
        kept = refreshed(kept, W, step, 10)
    assert refreshes == [0, 2, 6, 14, 24]


def test_vmapped_inverses_are_refreshed_together_and_behind_one_branch(x64):
    W = jax.tree.map(lambda *seeds: jnp.stack(seeds), matrices(2), matrices(3))
    inverses = jax.vmap(transposed_inverses)(W)
    steps = jnp.array([4, 4], jnp.int32), jnp.array([7, 9], jnp.int32)
    kept = LaggedInverses(jax.tree.map(lambda V: 1.01 * V, inverses), *steps)
    update = jax.vmap(lambda kept, W, step: refreshed(kept, W, step, 10), in_axes=(0, 0, None))
    jax.tree.map(np.testing.assert_array_equal, update(kept, W, 6), kept)
    np.testing.assert_allclose(update(kept, W, 7).V, inverses, rtol=1e-12)
    operations = {e.primitive.name for e in jax.make_jaxpr(update)(kept, W, 6).jaxpr.eqns}
    assert 'cond' in operations
    assert not operations & {'lu', 'jit', 'while', 'scan'}


@pytest.mark.parametrize('off', [1e-3, 0.1, 3.0, 1e4, np.nan])
def test_newton_schulz_inverts_from_near_and_far(x64, off):
    W = rows(3, (12, 12)) + jnp.eye(12)
    C = jnp.linalg.inv(W) * (1 + off)
    found = jax.jit(newton_schulz)(W, C)
    np.testing.assert_allclose(found @ W, jnp.eye(12), atol=1e-3)


def test_cache_changes_in_training_only():
    x = rows(4, (6, 3)).astype(jnp.float32)
    model = MLPFlow(layer=RelativeAffine(gradient='amortised'))
    variables = model.init(jax.random.key(0), x, None, 0, method='objective')
    assert [V.shape for V in variables['cache']['inverses'].V] == [(3, 3)] * 2
    assert 'affine_0' not in variables['cache']
    _, state = gradient(model, perturbed(variables), x)
    kept = variables['cache']['inverses'].V
    assert not np.allclose(state['cache']['inverses'].V, kept)
    value = model.apply(variables, x, method='log_likelihood')
    plain = MLPFlow().apply({'params': variables['params']}, x, method='log_likelihood')
    np.testing.assert_array_equal(value, plain)


def test_mapping_over_examples_counts_the_log_determinant_once(x64):
    x, W = rows(5, (6, 3)), rows(6, (3, 3))
    layer = RelativeAffine(use_bias=False, gradient='ordinary')

    def total(W, over_rows):
        def log_det(x):
            variables = {'params': {'W': W}}
            V = jnp.linalg.inv(W).T
            return layer.apply(variables, x, V=V, method='forward_and_log_det')[1]

        return (
            jax.vmap(lambda row: log_det(row[None])[0])(x).sum() if over_rows else log_det(x).sum()
        )

    mapped, batched = (jax.grad(total)(W, over_rows) for over_rows in (True, False))
    np.testing.assert_allclose(mapped, batched, rtol=1e-12)
    np.testing.assert_allclose(batched, len(x) * jnp.linalg.inv(W).T, rtol=1e-12)


def test_whitening_start_whitens_what_reaches_each_layer(x64):
    x = rows(7, (500, 4)) @ rows(8, (4, 4)) + 2.0
    model = MLPFlow(activation=SmoothLeakyReLU(0.3), layer=RelativeAffine(start='whiten'))
    variables = model.init(jax.random.key(0), x, None, 0, method='objective')
    z, _ = model.apply(variables, x, method='forward_and_log_det')
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(z.T, ddof=0), np.eye(4), atol=2e-2)
    W = variables['params']['affine_0']['W']
    np.testing.assert_allclose(W, W.T, rtol=1e-8)


@pytest.mark.parametrize('count', [0, 1])
def test_whitening_start_needs_two_rows(count):
    layer, method = RelativeAffine(start='whiten'), 'forward_and_log_det'
    with pytest.raises(ValueError, match=f"start='whiten' .* at least 2, got {count}: initialise"):
        layer.init(jax.random.key(0), rows(7, (count, 4)), method=method)


@pytest.mark.parametrize(
    ('field', 'known'),
    [
        ('start', 'orthogonal, whiten'),
        ('gradient', 'relative, equivariant, ordinary, amortised'),
        ('inversion', 'lu, newton_schulz'),
    ],
)
def test_unknown_names_are_refused(field, known):
    with pytest.raises(ValueError, match=f"Unknown {field} 'other': choose one of {known}"):
        RelativeAffine(**{field: 'other'})


def test_lagged_inverse_from_elsewhere_is_for_the_ordinary_gradient():
    x, layer = jnp.ones((2, 3)), RelativeAffine(gradient='equivariant')
    with pytest.raises(ValueError, match="with gradient='equivariant': leave it out"):
        layer.init(jax.random.key(0), x, V=jnp.eye(3), method='forward_and_log_det')


@pytest.mark.parametrize('method', ['log_likelihood', 'forward_and_log_det'])
def test_inverses_come_into_being_whatever_the_flow_is_initialised_by(method):
    model, x = MLPFlow(layer=RelativeAffine(gradient='amortised')), rows(0, (5, 3))
    expected, found = (
        model.init(jax.random.key(0), x, *rest, method=by)
        for by, rest in (('objective', (None, 0)), (method, ()))
    )
    jax.tree.map(np.testing.assert_array_equal, found, expected)
