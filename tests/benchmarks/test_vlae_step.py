"""The published loop that the benchmark of VLAE compares with computes what the library computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.baselines import vlae
from benchmarks.tools.arithmetic import multiply_adds
from flows.keys import fold_in
from tests.helpers.laplace_models import B, D, H, K, build, estimate, example_keys, examples
from vaes import VLAE, laplace
from vaes.distributions import draw_noise
from vaes.latent_variable_model import LATENT

pytestmark = pytest.mark.usefixtures('x64')
F64 = jnp.float64


def latents_in_reverse(params):
    """The parameters of the same model with z_1 .. z_k called z_k .. z_1.

    The library's factor R^T of the covariance is upper triangular, the published lower: in the
    reverse order one is the other, so that the same noise makes the same draw.
    """
    decoder, head = params['decoder'], params['mean_head']
    first = {**decoder['hidden_1'], 'kernel': decoder['hidden_1']['kernel'][::-1]}
    reverse = {'kernel': head['kernel'][:, ::-1], 'bias': head['bias'][::-1]}
    return {**params, 'decoder': {**decoder, 'hidden_1': first}, 'mean_head': reverse}


@pytest.mark.parametrize(('n_update', 'examples_at_a_time'), [(0, B), (1, B), (4, B), (4, 2)])
def test_published_loop_has_the_loss_and_gradient_of_the_library(
    monkeypatch, n_update, examples_at_a_time
):
    monkeypatch.setattr(laplace, 'VALUES_AT_A_TIME', examples_at_a_time * K * H)
    model, variables = build(VLAE, F64, n_update=n_update)
    params, x, keys = variables['params'], examples(dtype=F64), example_keys()
    noise = draw_noise(fold_in(keys, LATENT), (), jnp.zeros((B, K), F64))[:, ::-1]

    def of_library(params):
        terms = model.apply({'params': params}, x, keys, jnp.int32(0), method='objective')
        return terms['loss'].sum(), terms['loss']

    def of_published(params):
        loss = vlae.loss(latents_in_reverse(params), x, noise, n_update)
        return loss.sum(), loss

    (gradient, loss), (expected, expected_loss) = (
        jax.jit(jax.grad(f, has_aux=True))(params) for f in (of_library, of_published)
    )
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-8)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8 * np.abs(b).max()),
        gradient,
        expected,
    )


def test_published_likelihood_is_that_of_the_library_to_its_noise():
    model, variables = build(VLAE, F64)
    x = examples(dtype=F64)[:2]
    ours = estimate(model, variables, x, example_keys(2), 5000)
    of_one = jax.jit(lambda x, key: vlae.log_likelihood(variables['params'], x, key, 5000))
    for index, log_likelihood in enumerate(ours.log_likelihood):
        published = of_one(x[index : index + 1], jax.random.key(index))
        assert abs(published - log_likelihood) < 6.0 * ours.standard_error[index]


def test_multiply_adds_are_counted_as_often_as_they_run():
    a, b = jnp.zeros((5, 2, 3)), jnp.zeros((5, 3, 4))
    assert multiply_adds(jnp.matmul, a, b) == 5 * 2 * 3 * 4

    def looped(a, b):
        return jax.lax.scan(lambda _, of: (None, jax.jit(jnp.matmul)(*of)), None, (a, b))[1]

    assert multiply_adds(looped, a, b) == 5 * 2 * 3 * 4

    def solved(matrix, b):
        return jax.lax.custom_linear_solve(
            lambda v: matrix @ v, b, lambda _, b: matrix.T @ (matrix @ b), symmetric=True
        )

    assert multiply_adds(solved, jnp.zeros((6, 6)), jnp.zeros(6)) == 2 * 6 * 6


def test_a_published_jacobian_takes_the_arithmetic_of_two_products():
    params, z = build(VLAE, F64)[1]['params'], jnp.zeros((B, K), F64)
    with_jacobian, value = (
        multiply_adds(f, params, z) for f in (vlae.decode_and_jacobian, vlae.decode)
    )
    assert with_jacobian - value == B * K * H * (H + D)


def test_updates_with_a_gaussian_output_never_meet_its_features():
    def of_one_update(num_features):
        x = jnp.zeros((B, num_features), F64)

        def of_updates(n_update):
            model = VLAE(num_features=num_features, z_dim=K, hidden_dim=H, n_update=n_update)
            arguments = x, example_keys(), jnp.int32(0)
            init = jax.eval_shape(
                lambda: model.init({'params': jax.random.key(0)}, *arguments, method='objective')
            )

            def last_mean(variables):
                return model.apply(variables, x, example_keys(), method='posterior').trace[-1].sum()

            return multiply_adds(jax.grad(last_mean), init)

        return of_updates(3) - of_updates(2)

    assert of_one_update(D) == of_one_update(10 * D) > 0
