"""Densities p(x | c): against autodiff and closed forms, given c."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from flows import Chain, CouplingFlow, GaussianFlow, MLPConditioner, MLPFlow, Reverse
from tests.helpers.convergence_models import moved

EPSILON = 1e-3


def started(flow, x, c):
    """Variables started from rows x (N, D) and contexts c (N, C) or None."""

    def init(x, c):
        return flow.init(jax.random.key(0), x, None, None, c, method='objective')

    return jax.jit(init)(x, c)


def test_conditional_coupling_flow_against_autodiff(x64):
    flow = CouplingFlow(4, 3, MLPConditioner((6,)))
    x, c = (jax.random.normal(jax.random.key(k), (5, width)) for k, width in ((1, 4), (2, 3)))
    variables = moved(started(flow, x, c))

    def z(x, c):
        return flow.apply(variables, x[None], context=c[None], method='forward_and_log_det')[0][0]

    _, log_det = jnp.linalg.slogdet(jax.vmap(jax.jacfwd(z))(x, c))
    latents = jax.vmap(z)(x, c)
    expected = -0.5 * (latents**2 + np.log(2 * np.pi)).sum(-1) + log_det
    log_p, others = (
        flow.apply(variables, x, context=given, method='log_likelihood') for given in (c, c + 1)
    )
    np.testing.assert_allclose(log_p, expected, rtol=1e-12)
    assert (np.abs(log_p - others) > 1e-3).all()
    back, _ = flow.apply(variables, latents, context=c, method='inverse_and_log_det')
    np.testing.assert_allclose(back, x, rtol=1e-10)
    drawn = flow.apply(variables, jax.random.key(3), 5, context=c, method='sample')
    z, _ = flow.apply(variables, drawn, context=c, method='forward_and_log_det')
    np.testing.assert_allclose(z, flow.base.sample(jax.random.key(3), (5, 4)), atol=1e-5)


def rows_of_classes(sizes=(30, 1, 50), D=4):
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    mixing = generator.normal(size=(len(sizes), D, D))
    z = generator.normal(size=(len(labels), D))
    x = np.einsum('nd,nde->ne', z, mixing[labels]) + labels[:, None]
    return x, labels, np.eye(len(sizes))[labels]


def test_gaussians_are_those_of_each_class(x64):
    x, labels, c = rows_of_classes()
    flow = GaussianFlow()
    variables = started(flow, x, c)
    log_p = flow.apply(variables, x, context=c, method='log_likelihood')
    for label in range(3):
        own = x[labels == label]
        covariance = np.cov(own.T, bias=True) if len(own) > 1 else 0
        law = multivariate_normal(own.mean(0), covariance + EPSILON * np.eye(4))
        np.testing.assert_allclose(log_p[labels == label], law.logpdf(own), rtol=1e-9)
    whole = started(flow, x, None)
    law = multivariate_normal(x.mean(0), np.cov(x.T, bias=True) + EPSILON * np.eye(4))
    log_p = flow.apply(whole, x, method='log_likelihood')
    np.testing.assert_allclose(log_p, law.logpdf(x), rtol=1e-9)


def test_gaussian_draws_from_the_class_that_is_asked_for(x64):
    x, _, c = rows_of_classes()
    flow = GaussianFlow()
    variables = started(flow, x, c)
    z, log_det = flow.apply(variables, x, context=c, method='forward_and_log_det')
    back, inverse_log_det = flow.apply(variables, z, context=c, method='inverse_and_log_det')
    np.testing.assert_allclose(back, x, atol=1e-10)
    np.testing.assert_allclose(inverse_log_det, -log_det)
    of_last = np.tile(np.eye(3)[2], (20_000, 1))
    drawn = flow.apply(variables, jax.random.key(0), len(of_last), context=of_last, method='sample')
    law = np.cov(x[c[:, 2] == 1].T, bias=True)
    np.testing.assert_allclose(np.cov(drawn.T), law, atol=0.05 * np.abs(law).max())


@pytest.mark.parametrize('flow', [CouplingFlow(4, 1, MLPConditioner((6,))), GaussianFlow()])
@pytest.mark.parametrize('shape', [(3, 4), (1, 2)])
def test_a_context_has_a_row_for_each_of_x(flow, shape):
    x, c = jnp.ones((6, 4)), jnp.ones((6, 2))
    variables = started(flow, x, c)
    with pytest.raises(ValueError, match=r'a row for each of the 6 rows of x, got shape'):
        flow.apply(variables, x, context=jnp.ones(shape), method='log_likelihood')
    with pytest.raises(ValueError, match=r'a row for each of the 5 rows of x, got shape'):
        flow.apply(variables, jax.random.key(0), 5, jnp.ones(shape), method='sample')


def test_gaussians_refuse_whole_numbers():
    with pytest.raises(ValueError, match='GaussianFlow takes floating-point numbers, got int32'):
        started(GaussianFlow(), jnp.ones((4, 2), jnp.int32), None)


@pytest.mark.parametrize('method', ['objective', 'log_likelihood'])
def test_a_context_is_never_ignored(method):
    x, c = jnp.ones((2, 3)), jnp.ones((2, 1))
    flow = MLPFlow(num_layers=1)
    arguments = (x, None, None)
    variables = flow.init(jax.random.key(0), *arguments, method=method)
    with pytest.raises(ValueError, match=r'MLPFlow takes no context, got one of shape \(2, 1\)'):
        flow.apply(variables, *arguments, context=c, method=method)
    with pytest.raises(ValueError, match='a chain takes a context where one of its layers does'):
        Chain([Reverse(), Chain([Reverse()])]).apply({}, x, c, method='forward_and_log_det')
