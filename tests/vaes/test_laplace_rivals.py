"""Networks, SA-VAE, Householder and autoregressive flows: identities, and what reduces to what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows import keys as key_functions
from tests.helpers.laplace_models import (
    B,
    D,
    H,
    K,
    build,
    example_keys,
    examples,
    objective,
    posterior,
)
from vaes import IAFVAE, SAVAE, VAE, VLAE, HouseholderVAE, mlp
from vaes.distributions import DiagonalGaussian, diagonal_kl, gaussian_log_prob
from vaes.householder import HouseholderGaussian, reflect
from vaes.iaf import MADE, InverseAutoregressiveFlow
from vaes.sa_vae import clip_by_example

F64 = jnp.float64


def count(model_class, features):
    model = model_class(num_features=features)
    arguments = jnp.zeros((2, features)), example_keys(2), jnp.int32(0)
    init = jax.eval_shape(
        lambda key: model.init({'params': key}, *arguments, method='objective'), jax.random.key(0)
    )
    return sum(leaf.size for leaf in jax.tree.leaves(init))


def test_parameter_counts_are_the_published_ones():
    assert count(VAE, 784) == 1_361_885
    assert count(VAE, 3072) == 3_652_173
    assert count(HouseholderVAE, 784) == 1_361_885 + 32_700
    assert count(IAFVAE, 784) == 1_361_885 + 4 * 325_601
    # The Laplace posterior has no use for the encoder's log-variance, so it has no layer for it.
    assert count(VLAE, 784) == 1_361_885 - 25_050


def test_output_variance_starts_as_that_of_the_data():
    x = 3.0 * jax.random.normal(jax.random.key(0), (50, D)) + jnp.arange(D)[None]
    model = VAE(num_features=D, z_dim=K, hidden_dim=H)
    init = {'params': jax.random.key(1)}
    variables = model.init(init, x, example_keys(50), jnp.int32(0), method='objective')
    deviation = np.asarray(x) - np.asarray(x).mean(axis=0)
    log_variance = variables['params']['output']['log_variance']
    np.testing.assert_allclose(np.exp(log_variance), (deviation**2).mean(), rtol=1e-5)
    scaled = (deviation**2).sum(axis=1) / np.exp(log_variance)
    np.testing.assert_allclose(scaled.mean(), D, rtol=1e-3)


@pytest.mark.parametrize(
    ('initialisation', 'place', 'bound'),
    [
        ('unit_variance', 'relu', (6.0 / 300) ** 0.5),
        ('unit_variance', 'linear', (3.0 / 300) ** 0.5),
        ('unit_variance', 'decoder', 1.259921 * (3.0 / 400) ** 0.5),
        ('published', 'relu', 0.879224 * (3.0 / 400) ** 0.5),
        ('published', 'decoder', 0.879224 * (3.0 / 400) ** 0.5),
    ],
)
def test_initial_weights_have_their_bounds(initialisation, place, bound):
    layer = mlp.linear(400, 300, initialisation, place)
    parameters = layer.init(jax.random.key(0), jnp.zeros((1, 300)))['params']
    assert np.abs(parameters['kernel']).max() == pytest.approx(bound, rel=1e-3)
    assert parameters['kernel'].std() == pytest.approx(bound / 3**0.5, rel=1e-2)
    assert np.abs(parameters['bias']).max() == pytest.approx(300**-0.5, rel=2e-2)


@pytest.mark.parametrize(
    ('initialisation', 'expected'), [('unit_variance', 1.0), ('published', 0.1155)]
)
def test_decoder_starts_keeping_the_variance_of_the_backward_signal(initialisation, expected):
    decoder = mlp.Decoder(400, 300, 400, initialisation)
    z = jax.random.normal(jax.random.key(0), (64, 300))
    variables = decoder.init(jax.random.key(1), z)
    f, pull_back = jax.vjp(lambda z: decoder.apply(variables, z), z)
    (cotangent,) = pull_back(jax.random.normal(jax.random.key(2), f.shape))
    assert float(jnp.mean(cotangent**2)) == pytest.approx(expected, rel=0.15)


def test_default_encoder_keeps_the_variance_of_the_forward_signal_and_q_has_variance_one():
    model = VAE(num_features=1000, z_dim=200, hidden_dim=400)
    x = jax.random.normal(jax.random.key(0), (64, 1000))
    variables = model.init(jax.random.key(1), x, example_keys(64), jnp.int32(0), method='objective')
    features = model.apply(variables, x, method='features')
    q = model.apply(variables, features, method='encode')
    assert float(jnp.mean(features**2)) == pytest.approx(1.0, rel=0.15)
    assert float(jnp.mean(q.mean**2)) == pytest.approx(1.0, rel=0.15)
    np.testing.assert_array_equal(q.log_variance, 0.0)


def test_models_without_refinement_are_the_vae():
    vae, variables = build(VAE)
    x, keys = examples(), example_keys()
    expected = objective(vae, variables, x, keys)
    sa_vae = SAVAE(**_fields(vae), n_svi_step=0)
    householder = HouseholderVAE(**_fields(vae), n_flow=0)
    iaf, of_iaf = build(IAFVAE, iaf_dim=12)
    of_flow = jax.tree.map(jnp.zeros_like, of_iaf['params']['flow'])
    for made in of_flow.values():
        made['s_bias'] = jnp.full_like(made['s_bias'], 40.0)
    with_identity = {'params': {**variables['params'], 'flow': of_flow}}
    for model, v in ((sa_vae, variables), (householder, variables), (iaf, with_identity)):
        terms = objective(model, v, x, keys)
        np.testing.assert_allclose(terms['loss'], expected['loss'], rtol=1e-6)
    start = posterior(VLAE(**_fields(vae)), variables, x).trace[0]
    np.testing.assert_array_equal(start, posterior(vae, variables, x).trace[0])


def _fields(model):
    names = ('num_features', 'z_dim', 'hidden_dim', 'output_dist')
    return {name: getattr(model, name) for name in names}


def bound_at(model, variables, x, q, keys):
    """One draw's bound of a diagonal Gaussian q, from `keys`."""
    z, log_q = q.sample_and_log_prob(keys)

    def log_joint(module):
        return module.likelihood().log_prob(x, module.decode(z)) + module.prior_log_prob(z)

    return model.apply(variables, method=log_joint) - log_q


def test_a_small_step_of_the_sa_vae_raises_the_bound_it_sees():
    model, variables = build(SAVAE, n_svi_step=1, svi_lr=1e-4, output_dist='bernoulli')
    x, keys = examples('bernoulli', n=300), example_keys(300)
    before = posterior(VAE(**_fields(model)), variables, x).distribution
    after = posterior(model, variables, x, keys).distribution
    same_noise = key_functions.fold_in(keys, 0)
    gain = bound_at(model, variables, x, after, same_noise) - bound_at(
        model, variables, x, before, same_noise
    )
    assert (gain > 0.0).mean() >= 0.99


def test_steps_of_the_sa_vae_raise_the_expected_bound():
    model, variables = build(SAVAE, n_svi_step=20, svi_lr=0.01)
    x, keys = examples(n=150), example_keys(150)

    @jax.jit
    def expected_bound(q):
        draws = jax.vmap(lambda i: bound_at(model, variables, x, q, key_functions.fold_in(keys, i)))
        return draws(jnp.arange(1000, 1200)).mean(axis=0)

    before = posterior(VAE(**_fields(model)), variables, x).distribution
    after = posterior(model, variables, x, keys).distribution
    assert (expected_bound(after) > expected_bound(before)).mean() >= 0.99


def test_sa_vae_refines_a_point_alike_in_any_batch():
    model, variables = build(SAVAE, svi_lr=0.05, n_svi_step=5)
    x, keys = examples(), example_keys()
    together = posterior(model, variables, x, keys)
    alone = posterior(model, variables, x[2:3], keys[2:3])
    np.testing.assert_allclose(together.trace[:, 2:3], alone.trace, rtol=1e-5, atol=1e-6)
    assert np.abs(together.trace[-1] - together.trace[0]).max() > 0.01


def test_gradient_clipping_bounds_the_norm_of_each_example():
    direction = jax.random.normal(jax.random.key(0), (4, 6))
    direction /= jnp.linalg.norm(direction, axis=1, keepdims=True)
    norms = jnp.asarray([1.0, 3.0, 10.0, 100.0])
    gradient = norms[:, None] * direction
    clipped = clip_by_example(DiagonalGaussian(gradient[:, :3], gradient[:, 3:]), 5.0)
    joint = jnp.concatenate([clipped.mean, clipped.log_variance], axis=1)
    expected = jnp.minimum(norms, 5.0)[:, None] * direction
    np.testing.assert_allclose(joint, expected, rtol=1e-5)


@pytest.mark.usefixtures('x64')
@pytest.mark.parametrize(
    ('model_class', 'fields'),
    [
        (VLAE, {}),
        (VLAE, {'output_dist': 'bernoulli', 'update_rule': 'newton', 'kl': 'analytic'}),
        (SAVAE, {'svi_lr': 0.05}),
        (SAVAE, {'svi_lr': 0.05, 'kl': 'analytic', 'output_dist': 'bernoulli'}),
    ],
)
def test_gradient_through_the_unrolled_refinement_is_that_of_finite_differences(
    model_class, fields
):
    model, variables = build(model_class, F64, **fields)
    x, keys = examples(model.output_dist, dtype=F64), example_keys()

    @jax.jit
    @jax.value_and_grad
    def loss(variables):
        terms = model.apply(variables, x, keys, jnp.int32(0), method='objective')
        return terms['loss'].mean()

    _, gradient = loss(variables)
    leaves, structure = jax.tree.flatten(variables)
    flat = jax.tree.leaves(gradient)
    for number in range(len(leaves)):
        rng = np.random.default_rng(number)
        direction = rng.normal(size=leaves[number].shape)
        eps = 1e-6 / max(1.0, np.abs(direction).max())

        def along_direction(step, number=number, direction=direction):
            moved = [*leaves[:number], leaves[number] + step * direction, *leaves[number + 1 :]]
            return loss(jax.tree.unflatten(structure, moved))[0]

        slope = (along_direction(eps) - along_direction(-eps)) / (2.0 * eps)
        exact = (flat[number] * direction).sum()
        np.testing.assert_allclose(exact, slope, rtol=1e-5, atol=1e-7)


def test_sa_vae_gradient_of_the_encoder_goes_through_the_steps():
    model, variables = build(SAVAE, svi_lr=0.05)
    x, keys = examples(), example_keys()

    def moved(v):
        trace = model.apply(v, x, keys, method='posterior').trace
        return jnp.sum((trace[-1] - trace[0]) ** 2)

    gradient = jax.jit(jax.grad(moved))(variables)['params']
    assert np.abs(gradient['encoder']['hidden_1']['kernel']).max() > 0.0
    assert np.abs(gradient['decoder']['output']['kernel']).max() > 0.0


@pytest.mark.usefixtures('x64')
@pytest.mark.parametrize('n_flow', [1, 2, 8])
def test_householder_flow_is_orthogonal(n_flow):
    vectors = jax.random.normal(jax.random.key(0), (n_flow, 1, K), F64)
    matrix = jnp.eye(K)
    for v in vectors:
        matrix = reflect(matrix, v)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(K), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), (-1.0) ** n_flow, rtol=1e-12)

    base = DiagonalGaussian(jnp.ones((1, K), F64), jnp.asarray([[0.1, -0.5, 1.0]]))
    z, log_q = HouseholderGaussian(base, vectors).sample_and_log_prob(example_keys(1), (5,))
    start, _ = base.sample_and_log_prob(example_keys(1), (5,))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), np.linalg.norm(start, axis=-1))
    # matrix holds the images of the unit vectors as rows: z = start @ matrix.
    np.testing.assert_allclose(z, start @ matrix, rtol=1e-10)
    expected = gaussian_log_prob(z @ matrix.T, *(jnp.repeat(a[None], 5, 0) for a in _values(base)))
    np.testing.assert_allclose(log_q, expected, rtol=1e-10)


def _values(gaussian):
    return gaussian.mean, gaussian.log_variance


@pytest.mark.parametrize(('n_flow', 'reflects'), [(2, False), (4, False), (1, True), (3, True)])
def test_householder_pairs_start_as_the_vae(n_flow, reflects):
    model, variables = build(HouseholderVAE, n_flow=n_flow)
    x = examples()
    turned = posterior(model, variables, x)
    start = posterior(VAE(**_fields(model)), variables, x)
    z, log_q = turned.sample_and_log_prob(example_keys())
    z_0, log_q_0 = start.sample_and_log_prob(example_keys())
    np.testing.assert_allclose(log_q, log_q_0, rtol=1e-6)
    if reflects:
        v = turned.distribution.vectors[-1]
        z_0, expected = reflect(z_0, v), reflect(start.trace, v[None])
    else:
        expected = start.trace
    np.testing.assert_allclose(z, z_0, atol=1e-5)
    np.testing.assert_allclose(turned.trace, expected, atol=1e-5)


def test_householder_reflection_along_zero_is_finite_with_finite_gradient():
    z, zero = jnp.ones((2, K)), jnp.zeros((2, K))
    np.testing.assert_array_equal(reflect(z, zero), z)
    assert np.isfinite(jax.grad(lambda v: (reflect(z, v) ** 3).sum())(zero)).all()
    tiny = jnp.full((2, K), 1e-3)
    np.testing.assert_allclose(np.linalg.norm(reflect(z, tiny)), np.linalg.norm(z), rtol=1e-5)


@pytest.mark.usefixtures('x64')
@pytest.mark.parametrize('n_flow', [1, 2])
def test_iaf_is_autoregressive_in_z_and_open_to_the_context(n_flow):
    flow = InverseAutoregressiveFlow(n_flow, iaf_dim=20, initialisation='unit_variance')
    z = jax.random.normal(jax.random.key(0), (4, 5), F64)
    context = jax.random.normal(jax.random.key(1), (4, 9), F64)
    variables = flow.init(jax.random.key(2), z, context)
    variables = jax.tree.map(lambda a: a.astype(F64), variables)

    def one(z, e):
        return flow.apply(variables, z[None], e[None])[0][0]

    jacobian = jax.jit(jax.vmap(jax.jacobian(one)))(z, context)
    _, log_det = flow.apply(variables, z, context)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-9)
    in_context = jax.jit(jax.vmap(jax.jacobian(one, argnums=1)))(z, context)
    assert (np.abs(in_context).max(axis=(0, 2)) > 1e-6).all()
    if n_flow == 1:
        assert np.abs(np.triu(jacobian, 1)).max() == 0.0
        assert (np.abs(np.tril(jacobian, -1)) > 0.0).sum() == 4 * 10


@pytest.mark.usefixtures('x64')
def test_every_made_output_sees_all_of_the_context_and_only_earlier_z():
    made = MADE(iaf_dim=24, initialisation='unit_variance')
    z = jax.random.normal(jax.random.key(0), (1, 4), F64)
    context = jax.random.normal(jax.random.key(1), (1, 6), F64)
    variables = made.init(jax.random.key(2), z, context)
    for output in range(2):
        in_z = jax.jacobian(lambda z, o=output: made.apply(variables, z, context)[o])(z)[0, :, 0]
        in_context = jax.jacobian(lambda e, o=output: made.apply(variables, z, e)[o])(context)
        assert np.array_equal(in_z != 0.0, np.tri(4, k=-1, dtype=bool))
        assert (in_context != 0.0).all()


def test_iaf_width_is_free_of_the_encoder_width():
    model, variables = build(IAFVAE, iaf_dim=64)
    assert variables['params']['flow']['mades_0']['context']['kernel'].shape == (H, 64)
    assert posterior(model, variables, examples()).sample_and_log_prob(example_keys())[0].shape == (
        B,
        K,
    )


def test_diagonal_kl_against_the_density_ratio():
    mean, log_variance = jnp.asarray([[0.5, -1.0]]), jnp.asarray([[0.3, -0.7]])
    prior = jnp.asarray([[0.1, 0.2]]), jnp.asarray([[-0.2, 0.4]])
    q = DiagonalGaussian(mean, log_variance)
    z, log_q = q.sample_and_log_prob(example_keys(1), (50_000,))
    to_prior = log_q[:, 0] - gaussian_log_prob(
        z[:, 0], *(jnp.broadcast_to(a, (50_000, 2)) for a in prior)
    )
    error = to_prior.std() / 50_000**0.5
    assert abs(to_prior.mean() - diagonal_kl(mean, log_variance, *prior)[0]) < 4.0 * error


@pytest.mark.parametrize('model_class', [VLAE, HouseholderVAE])
def test_sampled_kl_is_an_unbiased_estimate_of_the_analytic_one(model_class):
    model, variables = build(model_class)
    q = posterior(model, variables, examples())
    z, log_q = q.sample_and_log_prob(example_keys(), (20_000,))
    sampled = log_q - model.apply(variables, z, method='prior_log_prob')
    error = sampled.std(axis=0) / 20_000**0.5
    assert (np.abs(sampled.mean(axis=0) - q.kl_to_standard_normal()) < 4.5 * error).all()
