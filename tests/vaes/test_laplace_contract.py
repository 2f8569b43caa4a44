"""What the trainer relies on, for every model of the variational Laplace family."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.laplace_models import B, D, TanhDecoder, build, estimate, example_keys, examples
from tests.helpers.laplace_models import objective as apply_objective
from vaes import IAFVAE, SAVAE, VAE, VLAE, HouseholderVAE, latent_variable_model

MODELS = {
    'vae': (VAE, {}),
    'vae, Bernoulli, analytic KL': (VAE, {'output_dist': 'bernoulli', 'kl': 'analytic'}),
    'sa_vae': (SAVAE, {'svi_lr': 0.01}),
    'sa_vae, Bernoulli, analytic KL': (SAVAE, {'output_dist': 'bernoulli', 'kl': 'analytic'}),
    'hf': (HouseholderVAE, {}),
    'iaf': (IAFVAE, {'iaf_dim': 12, 'n_flow': 3}),
    'vlae': (VLAE, {}),
    'vlae, Bernoulli': (VLAE, {'output_dist': 'bernoulli'}),
    'vlae, Newton, analytic KL': (VLAE, {'update_rule': 'newton', 'kl': 'analytic'}),
    'vlae, own decoder, Bernoulli': (
        VLAE,
        {'custom_decoder': TanhDecoder(), 'output_dist': 'bernoulli'},
    ),
}
NUM_SAMPLES = 150


@dataclasses.dataclass(frozen=True)
class Built:
    """A model with its data and the compiled evaluation that several tests share."""

    model: VAE
    variables: dict
    x: jax.Array
    keys: jax.Array
    evaluate: Callable


@pytest.fixture(params=MODELS, scope='module')
def built(request):
    model_class, fields = MODELS[request.param]
    model, variables = build(model_class, **fields)
    evaluate = jax.jit(lambda x, keys: estimate(model, variables, x, keys, NUM_SAMPLES))
    return Built(model, variables, examples(model.output_dist), example_keys(), evaluate)


def test_objective_is_finite_per_example_and_reaches_every_parameter(built):
    def loss(variables):
        terms = apply_objective(built.model, variables, built.x, built.keys)
        elbo = built.model.apply(variables, built.x, built.keys, method='elbo')
        return jnp.mean(terms['loss']), (terms, elbo)

    gradient, (terms, elbo) = jax.jit(jax.grad(loss, has_aux=True))(built.variables)
    assert {'loss', 'kl', 'reconstruction_error', 'elbo'} <= set(terms)
    for name, term in terms.items():
        assert term.shape == (B,), name
        assert term.dtype == jnp.float32, name
        assert np.isfinite(term).all(), name
    np.testing.assert_allclose(
        terms['loss'], terms['reconstruction_error'] + terms['kl'], rtol=1e-5
    )
    np.testing.assert_allclose(elbo, -terms['loss'], rtol=1e-5)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)
        assert np.any(leaf != 0.0), f'{jax.tree_util.keystr(path)} gets no gradient'


def test_elbo_is_not_above_the_importance_weighted_likelihood(built):
    many = built.evaluate(built.x, built.keys)
    x = jnp.repeat(built.x, 200, axis=0)
    apply = jax.jit(lambda x, keys: built.model.apply(built.variables, x, keys, method='elbo'))
    elbo = np.asarray(apply(x, example_keys(len(x), seed=3))).reshape(B, 200)
    noise = np.hypot(elbo.std(axis=1) / 200**0.5, many.standard_error)
    assert (elbo.mean(axis=1) <= many.log_likelihood + 4.0 * noise).all()


def test_evaluation_repeats_bit_for_bit(built):
    first = built.evaluate(built.x, built.keys).log_likelihood
    again = built.evaluate(built.x, built.keys).log_likelihood
    np.testing.assert_array_equal(first, again)
    other = built.evaluate(built.x, example_keys(seed=9)).log_likelihood
    assert not np.allclose(first, other, rtol=1e-6)


def evaluation(model, variables):
    return jax.jit(lambda x, keys: estimate(model, variables, x, keys, 30).log_likelihood)


@pytest.mark.parametrize('model_class', [SAVAE, VLAE])
def test_evaluation_does_not_depend_on_the_batch(model_class):
    evaluate = evaluation(*build(model_class))
    x, keys = examples(), example_keys()
    together, part = evaluate(x, keys), evaluate(x[2:5], keys[2:5])
    np.testing.assert_allclose(together[2:5], part, rtol=1e-5)


def test_evaluation_in_groups_of_examples_is_that_of_the_whole_batch(monkeypatch):
    built = build(IAFVAE, iaf_dim=12)
    x, keys = examples(), example_keys()
    together = evaluation(*built)(x, keys)
    monkeypatch.setattr(latent_variable_model, 'OUTPUTS_AT_A_TIME', 3 * 30 * D)
    np.testing.assert_allclose(evaluation(*built)(x, keys), together, rtol=1e-5)


def test_shapes_of_samples_and_reconstructions(built):
    def apply(*arguments, method):
        return jax.eval_shape(
            lambda *a: built.model.apply(built.variables, *a, method=method), *arguments
        ).shape

    key = jax.random.key(5)
    sample = jax.eval_shape(
        lambda k: built.model.apply(built.variables, k, 4, method='sample'), key
    )
    assert sample.shape == (4, D)
    assert apply(built.x, built.keys, method='reconstruct') == (B, D)
    updates = getattr(built.model, 'n_update', getattr(built.model, 'n_svi_step', 0))
    trace = apply(built.x, built.keys, method='reconstruct_trace')
    assert trace == (updates + 1, B, D)


def test_samples_have_the_mean_that_is_shown_beside_them():
    model, variables = build(VAE, output_dist='bernoulli')
    key = jax.random.key(5)
    samples = model.apply(variables, key, 4000, method='sample')
    means = model.apply(variables, key, 4000, method='sample_mean')
    assert set(np.unique(samples)) == {0.0, 1.0}
    assert ((means > 0.0) & (means < 1.0)).all()
    error = np.abs((samples - means).mean(axis=0)) / (means * (1.0 - means)).mean(axis=0) ** 0.5
    assert (error * 4000**0.5 < 4.5).all()
    # Each sample belongs to its own mean, not just to the average one.
    assert (samples * means + (1.0 - samples) * (1.0 - means)).mean() > 0.52


def test_kl_warm_up_weights_the_loss_only():
    model, variables = build(VAE, kl_warmup_steps=10)
    x, keys = examples(), example_keys()
    early = model.apply(variables, x, keys, jnp.int32(0), method='objective')
    late = model.apply(variables, x, keys, jnp.int32(25), method='objective')
    np.testing.assert_allclose(
        early['loss'], early['reconstruction_error'] + 0.1 * early['kl'], 1e-5
    )
    np.testing.assert_allclose(late['loss'], late['reconstruction_error'] + late['kl'], 1e-5)
    np.testing.assert_allclose(early['elbo'], late['elbo'])


@pytest.mark.parametrize(
    ('model_class', 'fields', 'message'),
    [
        (
            VAE,
            {'output_dist': 'poisson'},
            "Unknown output_dist 'poisson': choose one of gaussian, bernoulli",
        ),
        (VAE, {'kl': 'exact'}, "Unknown kl 'exact': choose one of sample, analytic"),
        (VLAE, {'update_rule': 'adam'}, 'choose one of damped, decayed, newton'),
        (VAE, {'initialisation': 'xavier'}, 'choose one of unit_variance, published'),
        (VAE, {'num_features': 4}, 'set num_features to 10'),
    ],
)
def test_impossible_fields_are_refused_with_a_sentence(model_class, fields, message):
    with pytest.raises(ValueError, match=message):
        build(model_class, **fields)
