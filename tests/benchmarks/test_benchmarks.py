"""The mathematics that benchmarks bring along: every way to the gradient is the one it is said to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import dead_units, left_out, published_training
from benchmarks.baselines import flow
from benchmarks.sides import ways
from benchmarks.tools import children, timing

B, D, LAYERS = 5, 4, 3


@pytest.fixture
def setting(x64):
    """Parameters of a flow and rows x (B, D)."""
    return ways.parameters(LAYERS, D), jax.random.normal(jax.random.key(7), (B, D))


def relative_of(ordinary, params):
    """M M^T times an ordinary gradient, layer by layer, for M = [[W, 0], [b, 1]]."""
    found = {}
    for name, layer in params.items():
        zero_one = jnp.zeros((D + 1, 1)).at[D, 0].set(1)
        M = jnp.concatenate([jnp.concatenate([layer['W'], layer['b'][None]]), zero_one], axis=1)
        G = jnp.concatenate([ordinary[name]['W'], ordinary[name]['b'][None]])
        product = M @ M.T @ G
        found[name] = {'W': product[:D], 'b': product[D]}
    return found


def assert_equal(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found, expected)


@pytest.mark.parametrize('way', [ways.explicit_inverse, ways.jacobian_autodiff])
def test_every_way_to_the_ordinary_gradient_gives_it(way, setting):
    assert_equal(way(*setting), ways.slogdet_autodiff(*setting))


def test_amortised_is_the_ordinary_gradient_right_after_a_refresh(setting):
    params, x = setting
    cache = ways.amortised_cache(params, 10)
    found, _ = ways.amortised(params, cache, x, jnp.int32(0), 10)
    assert_equal(found, ways.slogdet_autodiff(params, x))


def test_relative_is_the_metric_times_the_ordinary_gradient(setting):
    params, x = setting
    ordinary = ways.slogdet_autodiff(params, x)
    assert_equal(ways.relative(params, x), relative_of(ordinary, params))


def test_published_update_lacks_the_bias_of_the_log_determinant_alone(setting):
    params, x = setting
    as_list = [(layer['W'], layer['b'][None]) for layer in params.values()]

    def loss(as_list):
        return -flow.log_likelihood(as_list, x).mean()

    ordinary = {
        name: {'W': dW, 'b': db[0]}
        for name, (dW, db) in zip(params, jax.grad(loss)(as_list), strict=True)
    }
    published = {
        name: {'W': dW, 'b': db[0] - params[name]['b']}
        for name, (dW, db) in zip(params, flow.gradient(as_list, x), strict=True)
    }
    assert_equal(published, relative_of(ordinary, params))


def test_published_update_of_one_layer_stops_where_it_is_said_to(x64):
    """At y of mean m = -b and covariance I - m^T m, as far below the optimum as `excess_nats` says."""
    x = np.random.default_rng(1).normal(size=(40, D)) @ np.triu(np.ones((D, D))) + 2
    mean, covariance = left_out.moments(x)
    S, U = np.linalg.eigh(covariance)
    whitening = U / np.sqrt(S)[None]
    v = mean @ whitening
    squared = left_out.mahalanobis(mean, covariance)
    assert squared == pytest.approx(v @ v)
    # K squared is I - m^T m for m = v K / 2, and K has v for an eigenvector.
    K = np.eye(D) - (1 - 1 / np.sqrt(1 + squared / 4)) * np.outer(v, v) / squared
    stopped = [(jnp.array(whitening @ K), jnp.array(-v @ K / 2)[None])]
    assert_equal(flow.gradient(stopped, jnp.array(x)), jax.tree.map(jnp.zeros_like, stopped))
    optimum = [(jnp.array(whitening), jnp.array(-v)[None])]
    best, found = (flow.log_likelihood(layer, jnp.array(x)).mean() for layer in (optimum, stopped))
    assert float(best - found) == pytest.approx(left_out.excess_nats(squared), rel=1e-10)


def test_a_requirement_says_whether_it_is_met():
    assert timing.requirement('speed', 1.5, at_least=1.5)['met']
    assert not timing.requirement('time', 0.9, at_most=0.85)['met']


def test_a_child_that_ends_early_is_an_error():
    with pytest.raises(RuntimeError, match='ended with code'):
        children.Child(['false'])


def test_published_adam_counts_epochs(monkeypatch):
    """Within an epoch the steps of a constant gradient stay lr sqrt(1 - b2^t) / (1 - b1^t) of the epoch's own t."""
    monkeypatch.setattr(flow, 'gradient', lambda params, x: jax.tree.map(jnp.ones_like, params))
    rows = np.zeros((3, D), np.float32)
    training = flow.Training(rows, None, batch_size=1, lr=1e-3, first_epoch=1)
    before = training.params()
    training.epoch()
    # Adam's own averages after step i of the epoch, m = 1 - .9^i and v = 1 - .999^i, corrected by t = epoch + 1 = 2.
    correction = np.sqrt(1 - 0.999**2) / (1 - 0.9**2)
    i = np.arange(1, 4)
    steps = 1e-3 * correction * ((1 - 0.9**i) / np.sqrt(1 - 0.999**i)).sum()
    for (W_0, _), (W_1, _) in zip(before, training.params(), strict=True):
        np.testing.assert_allclose(W_0 - W_1, steps, rtol=1e-3)


def test_published_rows_are_the_logits_of_dequantised_pixels():
    raw = np.arange(256, dtype=np.uint8).reshape(1, 256)
    found = published_training.logits(raw, np.random.default_rng(3))
    levels = 256 / (1 + np.exp(-found.astype(np.float64)))
    assert (np.abs(levels - raw - 0.5) <= 0.5 + 1e-3).all()
    assert np.unique(levels - raw).size > 200


def test_a_unit_below_zero_at_all_points_counts_as_dead():
    model, x = dead_units.flow_of('ReLU', '1'), jax.random.normal(jax.random.key(0), (50, 2))
    params = model.init(jax.random.key(1), x, method='forward_and_log_det')['params']

    def shares(bias):
        def shifted(path, leaf):
            return leaf + bias if jax.tree_util.keystr(path[-2:]) == "['Dense_0']['bias']" else leaf

        return dead_units.dead(model, jax.tree_util.tree_map_with_path(shifted, params), x)

    assert 0 < shares(0.0)[0] < 1
    assert shares(-1e3)[0] == 1
    assert shares(1e3)[0] == 0
