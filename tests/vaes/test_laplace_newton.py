"""Laplace approximations against autodiff, linear algebra and probabilistic PCA, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import linen as nn
from jax.extend.core import jaxprs_in_params

from tests.helpers.laplace_models import (
    B,
    D,
    K,
    LinearDecoder,
    TanhDecoder,
    build,
    estimate,
    example_keys,
    examples,
    objective,
    of_log_joint,
    posterior,
)
from vaes import VLAE, laplace
from vaes.cholesky import inverse_cholesky
from vaes.distributions import BernoulliLikelihood, FullGaussian, GaussianLikelihood

pytestmark = pytest.mark.usefixtures('x64')
F64 = jnp.float64


def decoder_of(model, variables):
    return model.apply(variables, method=lambda m: m.decoder.unbind())


def autodiff_jacobian(decoder, variables, z):
    return jax.vmap(jax.jacrev(lambda one: decoder.apply(variables, one[None])[0]))(z)


def test_relu_jacobian_is_that_of_autodiff():
    decoder, variables = decoder_of(*build(VLAE, F64))
    z = jax.random.normal(jax.random.key(3), (8, K), F64)
    on = decoder.apply(variables, z, method='pieces')
    tangents = decoder.apply(variables, on, method='tangents')
    kernel, bias = decoder.apply(variables, method='output_weights')
    jacobian = jnp.swapaxes(tangents @ kernel, 1, 2)
    expected = autodiff_jacobian(decoder, variables, z)
    assert np.abs(jacobian - expected).max() < 1e-10
    f = decoder.apply(variables, z, on, method='last_hidden') @ kernel + bias[None]
    np.testing.assert_allclose(f, decoder.apply(variables, z), rtol=1e-13)


@pytest.mark.parametrize(
    ('output_dist', 'custom_decoder'),
    [('gaussian', None), ('bernoulli', None), ('bernoulli', TanhDecoder())],
)
def test_newton_system_is_the_gradient_and_gauss_newton_matrix(output_dist, custom_decoder):
    model, variables = build(VLAE, F64, output_dist=output_dist, custom_decoder=custom_decoder)
    decoder, of_decoder = decoder_of(model, variables)
    likelihood = model.apply(variables, method='likelihood')
    x, z = examples(output_dist, dtype=F64), jax.random.normal(jax.random.key(3), (B, K), F64)
    local = laplace.expansion(decoder, of_decoder, likelihood, x)(z)
    gradient, precision = local.gradient(), local.precision()

    expected = of_log_joint(jax.grad, model, variables)(x, z)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-10)
    jacobian = autodiff_jacobian(decoder, of_decoder, z)
    curvature = jnp.broadcast_to(likelihood.curvature(decoder.apply(of_decoder, z)), (B, D))
    expected = jnp.eye(K)[None] + jnp.einsum('bdk,bd,bdl->bkl', jacobian, curvature, jacobian)
    np.testing.assert_allclose(precision, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(precision, jnp.swapaxes(precision, 1, 2), rtol=1e-12, atol=1e-13)
    assert np.linalg.eigvalsh(precision).min() >= 1.0 - 1e-10


@pytest.mark.parametrize(
    ('output_dist', 'custom_decoder'),
    [('gaussian', None), ('bernoulli', None), ('bernoulli', TanhDecoder())],
)
def test_direction_has_the_value_and_gradient_of_a_solve(output_dist, custom_decoder):
    model, variables = build(VLAE, F64, output_dist=output_dist, custom_decoder=custom_decoder)
    x, z = examples(output_dist, dtype=F64), jax.random.normal(jax.random.key(3), (B, K), F64)

    def solved(local):
        return jnp.linalg.solve(local.precision(), local.gradient()[..., None])[..., 0]

    def value_and_gradient(direction):
        def loss(variables, x, z):
            likelihood = model.apply(variables, method='likelihood')
            expand = laplace.expansion(*decoder_of(model, variables), likelihood, x)
            d = direction(expand(z))
            return jnp.sum(jnp.sin(d)), d

        return jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(variables, x, z)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9),
        value_and_gradient(laplace.newton_direction),
        value_and_gradient(solved),
    )


@pytest.mark.parametrize('output_dist', ['gaussian', 'bernoulli'])
def test_precision_of_a_piecewise_linear_decoder_is_minus_the_hessian(output_dist):
    model, variables = build(VLAE, F64, output_dist=output_dist, n_update=1, update_lr=1.0)
    x = examples(output_dist, dtype=F64)
    q = posterior(model, variables, x)
    hessian = of_log_joint(jax.hessian, model, variables)
    factor = jnp.linalg.inv(q.distribution.inverse_cholesky)
    np.testing.assert_allclose(
        factor @ jnp.swapaxes(factor, 1, 2), -hessian(x, q.trace[-1]), rtol=1e-8, atol=1e-9
    )
    start = q.trace[0]
    gradient = of_log_joint(jax.grad, model, variables)(x, start)
    step = -jnp.linalg.solve(hessian(x, start), gradient[..., None])[..., 0]
    np.testing.assert_allclose(q.trace[1] - start, step, rtol=1e-8, atol=1e-9)


def linear_model(kind, **fields):
    """A VLAE with a linear decoder, x, and the decoder's W (D, k) and b (D,)."""
    if kind == 'forward mode':
        model, variables = build(VLAE, F64, custom_decoder=LinearDecoder(), **fields)
    else:
        model, variables = build(VLAE, F64, **fields)
        # Hidden units that are always on: the ReLU network is linear where z can be.
        for layer, always_on in (('hidden_1', 1e2), ('hidden_2', 1e4)):
            bias = variables['params']['decoder'][layer]['bias']
            variables['params']['decoder'][layer]['bias'] = bias + always_on
        output = variables['params']['decoder']['output']
        constant = model.apply(variables, jnp.zeros((1, K), F64), method='decode')[0]
        output['bias'] = output['bias'] - constant
    offset = model.apply(variables, jnp.zeros((1, K), F64), method='decode')
    weights = (model.apply(variables, jnp.eye(K, dtype=F64), method='decode') - offset).T
    return model, variables, examples(dtype=F64) + offset, weights, offset[0]


@pytest.mark.parametrize('kind', ['relu', 'forward mode'])
def test_linear_decoder_gets_the_exact_posterior_in_one_whole_step(kind):
    model, variables, x, weights, offset = linear_model(kind, n_update=1, update_lr=1.0)
    variance = jnp.exp(model.apply(variables, method='likelihood').log_variance)
    precision = jnp.eye(K) + weights.T @ weights / variance
    mean = jnp.linalg.solve(precision, weights.T @ (x - offset[None]).T / variance).T
    q = posterior(model, variables, x)
    np.testing.assert_allclose(q.distribution.mean, mean, rtol=1e-8, atol=1e-10)

    z, log_q = q.sample_and_log_prob(example_keys(), (100,))
    log_joint = jax.vmap(of_log_joint(lambda f: f, model, variables), (None, 0))
    log_p = log_joint(x, z)
    difference = np.asarray(log_p - log_q)
    assert difference.std(axis=0).max() < 1e-8
    covariance = weights @ weights.T + variance * np.eye(D)
    exact = scipy.stats.multivariate_normal(offset, covariance).logpdf(x)
    np.testing.assert_allclose(difference.mean(axis=0), exact, rtol=1e-9)

    for num_samples in (1, 120):
        weighted = estimate(model, variables, x, example_keys(), num_samples)
        np.testing.assert_allclose(weighted.log_likelihood, exact, rtol=1e-9)
        np.testing.assert_allclose(weighted.effective_sample_size, num_samples, rtol=1e-6)


def test_published_schedule_leaves_its_fraction_of_the_start_on_a_linear_decoder():
    model, variables, x, *_ = linear_model('forward mode', n_update=4)
    whole = model.clone(n_update=1, update_lr=1.0)
    mode = posterior(whole, variables, x).trace[-1]
    trace = posterior(model, variables, x).trace
    left = np.linalg.norm(trace - mode[None], axis=-1) / np.linalg.norm(trace[0] - mode, axis=-1)
    expected = np.array([1.0, 0.5, 0.375, 0.3125, 0.2734375])
    np.testing.assert_allclose(left, np.repeat(expected[:, None], B, axis=1), rtol=1e-7)


@pytest.mark.parametrize(
    ('rule', 'lengths'), [('damped', [0.9, 0.45, 0.3]), ('decayed', [1.0, 0.9, 0.81])]
)
def test_updates_take_the_lengths_of_their_rule(rule, lengths):
    model, variables = build(VLAE, F64, n_update=3, update_lr=0.9, update_rule=rule)
    x, trace = examples(dtype=F64), posterior(model, variables, examples(dtype=F64)).trace
    likelihood = model.apply(variables, method='likelihood')
    expand = laplace.expansion(*decoder_of(model, variables), likelihood, x)
    for before, after, length in zip(trace[:-1], trace[1:], lengths, strict=True):
        local = expand(before)
        direction = jnp.linalg.solve(local.precision(), local.gradient()[..., None])[..., 0]
        np.testing.assert_allclose(after - before, length * direction, rtol=1e-6, atol=1e-9)


def test_newton_rule_reaches_the_mode_of_a_linear_decoder_at_once():
    model, variables, x, *_ = linear_model('relu', n_update=3, update_rule='newton')
    trace = posterior(model, variables, x).trace
    gradient = of_log_joint(jax.grad, model, variables)
    assert np.abs(gradient(x, trace[1])).max() < 1e-8
    np.testing.assert_allclose(trace[1], trace[3], rtol=1e-8)


@pytest.mark.parametrize('output_dist', ['gaussian', 'bernoulli'])
def test_newton_rule_never_lowers_the_joint_density(output_dist):
    model, variables = build(VLAE, F64, output_dist=output_dist, update_rule='newton', n_update=6)
    variables = jax.tree.map(lambda a: 2.0 * a, variables)  # strongly kinked and far from a mode
    x = examples(output_dist, n=40, dtype=F64)
    trace = posterior(model, variables, x).trace
    log_joint = jax.vmap(of_log_joint(lambda f: f, model, variables), (None, 0))
    values = log_joint(x, trace)
    assert (np.diff(values, axis=0) >= -1e-12 * np.abs(values[1:])).all()  # to rounding
    assert (values[-1] > values[0]).mean() > 0.9


def test_newton_rule_stays_where_every_step_is_worse():
    start = jnp.ones((2, K), F64)

    def log_joint(z):
        return -jnp.sum(jnp.abs(z - start[None]), axis=-1)

    np.testing.assert_array_equal(laplace.best_step(log_joint, start, 5.0 * start), start)


def test_reconstruction_error_is_logged_for_every_update():
    model, variables = build(VLAE, F64, n_update=2)
    x = examples(dtype=F64)
    terms = objective(model, variables, x, example_keys())
    likelihood = model.apply(variables, method='likelihood')
    for t, mean in enumerate(posterior(model, variables, x).trace):
        error = -likelihood.log_prob(x, model.apply(variables, mean, method='decode'))
        np.testing.assert_allclose(terms[f'reconstruction_error_{t}'], error, rtol=1e-10)
    assert 'reconstruction_error_3' not in terms


@pytest.mark.parametrize('curved', [False, True])
def test_slices_and_groups_change_nothing_in_value_and_gradient(monkeypatch, curved):
    fields = {'output_dist': 'bernoulli', 'custom_decoder': None if curved else TanhDecoder()}
    model, variables = build(VLAE, F64, n_update=0, **fields)
    x, keys = examples('bernoulli', dtype=F64), example_keys()

    def value_and_gradient():
        loss = jax.value_and_grad(lambda v: objective(model, v, x, keys)['loss'].sum())
        return jax.jit(loss)(variables)

    whole = value_and_gradient()
    monkeypatch.setattr(laplace, 'VALUES_AT_A_TIME', 4 * K * B if curved else 2 * K * D)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11),
        whole,
        value_and_gradient(),
    )


class ReverseModeOnly(nn.Module):
    @nn.compact
    def __call__(self, z):
        @jax.custom_vjp
        def double(y):
            return 2.0 * y

        double.defvjp(lambda y: (2.0 * y, None), lambda _, g: (2.0 * g,))
        return double(nn.Dense(D)(z))


def test_decoder_without_forward_mode_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match='must allow forward-mode differentiation'):
        build(VLAE, custom_decoder=ReverseModeOnly())


@pytest.mark.parametrize(
    'size', [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 8)), 21]
)
def test_inverse_cholesky_is_that_of_the_library_in_value_and_gradient(size):
    spread = jax.random.normal(jax.random.key(size), (3, size, size), F64)
    precision = jnp.eye(size)[None] + spread @ jnp.swapaxes(spread, 1, 2)
    weights = jax.random.normal(jax.random.key(0), (size, size), F64)[None]

    def of_library(p):
        return jnp.linalg.inv(jnp.linalg.cholesky(p))

    np.testing.assert_allclose(
        inverse_cholesky(precision), of_library(precision), rtol=1e-9, atol=1e-12
    )
    found, expected = (
        jax.grad(lambda p, f=f: jnp.sum(weights * jnp.sin(f(p))))(precision)
        for f in (inverse_cholesky, of_library)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-11)


def test_a_matrix_that_is_not_positive_definite_gives_nan_for_its_example_alone():
    pair = jnp.stack([jnp.eye(K), -jnp.eye(K)])
    found = inverse_cholesky(pair)
    np.testing.assert_array_equal(found[0], np.eye(K))
    assert np.isnan(found[1]).any()


def test_full_gaussian_draws_have_the_covariance_and_density_of_its_precision():
    spread = jax.random.normal(jax.random.key(0), (K, K), F64)
    precision = jnp.eye(K) + spread @ spread.T
    mean = jnp.arange(K, dtype=F64)
    q = FullGaussian(mean[None], inverse_cholesky(precision[None]))
    z, log_q = q.sample_and_log_prob(example_keys(1), (100_000,))
    covariance = np.linalg.inv(precision)
    sample_covariance = np.cov(z[:, 0].T)
    assert np.linalg.norm(sample_covariance - covariance) < 0.02 * np.linalg.norm(covariance)
    library = scipy.stats.multivariate_normal(mean, covariance)
    np.testing.assert_allclose(log_q[:50, 0], library.logpdf(z[:50, 0]), rtol=1e-9)


def test_full_gaussian_survives_an_ill_conditioned_precision():
    scales = jnp.asarray([1.0, 1e4, 1e8])
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(K, K)))
    precision = jnp.asarray(rotation * scales[None] @ rotation.T)
    q = FullGaussian(jnp.zeros((1, K)), inverse_cholesky(precision[None]))
    z, log_q = q.sample_and_log_prob(example_keys(1), (20,))
    squares = jnp.einsum('nk,kl,nl->n', z[:, 0], precision, z[:, 0])
    expected = -0.5 * (K * np.log(2.0 * np.pi) - np.log(1e12) + squares)
    np.testing.assert_allclose(log_q[:, 0], expected, rtol=1e-6)
    expected = 0.5 * (np.trace(np.linalg.inv(precision)) - K + np.log(1e12))
    np.testing.assert_allclose(q.kl_to_standard_normal()[0], expected, rtol=1e-6)


def test_factor_in_float32_survives_eigenvalues_up_to_1e5():
    rng, k = np.random.default_rng(0), 50
    strong = np.concatenate([np.geomspace(10.0, 1e5, 10), np.zeros(k - 10)])
    rotations, _ = np.linalg.qr(rng.normal(size=(20, k, k)))
    precision = np.eye(k) + np.einsum('bij,j,bkj->bik', rotations, strong, rotations)
    factor = inverse_cholesky(jnp.asarray(precision, jnp.float32))
    assert factor.dtype == jnp.float32
    half_log_det = -np.log(np.asarray(factor, np.float64).diagonal(axis1=1, axis2=2)).sum(axis=1)
    np.testing.assert_allclose(half_log_det, np.log1p(strong).sum() / 2, atol=0.05)


@pytest.mark.parametrize('logit', [-30.0, 30.0])
def test_bernoulli_has_a_live_gradient_at_extreme_logits(logit):
    likelihood = BernoulliLikelihood()
    f, wrong = jnp.full((1, D), logit), jnp.full((1, D), float(logit < 0.0))
    gradient = jax.grad(lambda f: likelihood.log_prob(wrong, f).sum())(f)
    np.testing.assert_allclose(gradient, likelihood.score(wrong, f))
    np.testing.assert_allclose(np.abs(gradient), 1.0, rtol=1e-9)
    np.testing.assert_allclose(likelihood.log_prob(wrong, f), -30.0 * D, rtol=1e-9)
    assert (likelihood.curvature(f) > 0.0).all()


def test_training_survives_extreme_logits():
    model, variables = build(VLAE, F64, output_dist='bernoulli')
    variables['params']['decoder']['output']['bias'] = jnp.tile(jnp.asarray([30.0, -30.0]), D // 2)
    x = examples('bernoulli', dtype=F64)
    loss = jax.grad(lambda v: objective(model, v, x, example_keys())['loss'].sum())
    gradient = jax.jit(loss)(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.abs(gradient['params']['decoder']['output']['bias']).max() > 0.1


@pytest.mark.parametrize('likelihood', [GaussianLikelihood(np.float64(0.7)), BernoulliLikelihood()])
def test_score_and_curvature_are_derivatives_of_the_log_likelihood(likelihood):
    f = jax.random.normal(jax.random.key(0), (D,), F64)
    x = examples('bernoulli', n=1, dtype=F64)[0]
    score = jax.grad(lambda f: likelihood.log_prob(x, f))(f)
    hessian = jax.hessian(lambda f: likelihood.log_prob(x, f))(f)
    np.testing.assert_allclose(likelihood.score(x, f), score, rtol=1e-12)
    curvature = jnp.broadcast_to(likelihood.curvature(f), f.shape)
    np.testing.assert_allclose(-jnp.diagonal(hessian), curvature, rtol=1e-10)


def test_posterior_is_factored_once_however_many_samples_are_drawn():
    model, variables = build(VLAE, F64)
    jaxpr = jax.make_jaxpr(lambda x, k: estimate(model, variables, x, k, 500))(
        examples(dtype=F64), example_keys()
    )

    def primitives(jaxpr):
        for equation in jaxpr.eqns:
            yield equation
            for inner in jaxprs_in_params(equation.params):
                yield from primitives(inner)

    blocks = [e for e in primitives(jaxpr.jaxpr) if e.params.get('length') == 5]
    assert blocks
    for block in blocks:
        names = {e.primitive.name for e in primitives(block.params['jaxpr'].jaxpr)}
        assert 'dot_general' in names
        assert 'rsqrt' not in names  # of the factorisation, which is outside
    assert 'rsqrt' in {e.primitive.name for e in primitives(jaxpr.jaxpr)}


def test_training_memory_hardly_grows_with_the_number_of_updates():
    features, batch = 2048, 64
    one_jacobian = batch * features * K * 4

    def temporary_bytes(n_update):
        model = VLAE(
            num_features=features,
            z_dim=K,
            hidden_dim=16,
            n_update=n_update,
            output_dist='bernoulli',
        )
        x = jax.ShapeDtypeStruct((batch, features), jnp.float32)
        keys, step = example_keys(batch), jnp.int32(0)
        init = jax.eval_shape(
            lambda x: model.init({'params': keys[0]}, x, keys, step, method='objective'), x
        )
        loss = jax.grad(lambda v, x: objective(model, v, x, keys)['loss'].mean())
        return jax.jit(loss).lower(init, x).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(9) - temporary_bytes(1) < 4 * one_jacobian
