"""The reader of compiled programs, on small training steps that are and are not O(B D^2)."""

import jax
import jax.numpy as jnp
import optax
import pytest

from flows import MLPFlow, RelativeAffine
from tests.helpers.hlo_checks import cubic_products, custom_calls

D, B, SEEDS, DEVICES = 24, 7, 30, 2


def micro_step(model, optimiser, twist):
    """One step of training as the trainer takes it: the gradient, and the terms beside the loss."""

    def mean_loss(variables, x):
        terms = model.apply(variables, x, None, 0, method='objective')
        logged = terms if twist == 'returns the loss' else dict(list(terms.items())[1:])
        return terms['loss'].mean(), {name: term.sum() for name, term in logged.items()}

    def step(state, x):
        variables, moments = state
        gradient, logged = jax.grad(mean_loss, has_aux=True)(variables, x)
        if twist == 'W @ W.T':
            gradient = jax.tree.map(lambda g: g @ (g.T @ g) if g.ndim == 2 else g, gradient)
        gradient, logged = jax.lax.pmean(gradient, 'batch'), jax.lax.psum(logged, 'batch')
        updates, moments = optimiser.update(gradient, moments, variables)
        return (optax.apply_updates(variables, updates), moments), logged

    return step


def texts(gradient='relative', twist=None, bias=True):
    """StableHLO and HLO of a pmapped scan over two steps of a two-layer flow."""
    model, optimiser = MLPFlow(layer=RelativeAffine(bias, gradient)), optax.adam(1e-3)
    x = jnp.ones((DEVICES, 2, B, D))
    variables = model.init(jax.random.key(0), x[0, 0], None, 0, method='objective')
    state = variables, optimiser.init(variables)
    state = jax.tree.map(lambda leaf: jnp.stack([leaf] * DEVICES), state)

    def steps(state, xs):
        return jax.lax.scan(micro_step(model, optimiser, twist), state, xs)

    devices = jax.local_devices()[:DEVICES]
    lowered = jax.pmap(steps, axis_name='batch', devices=devices).lower(state, x)
    return {'stablehlo': lowered.as_text(), 'hlo': lowered.compile().as_text()}


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('gradient', ['relative', 'equivariant'])
def test_step_by_relative_gradient_has_no_cubic_operation(gradient, bias):
    texts_of = texts(gradient, bias=bias)
    for kind, text in texts_of.items():
        assert 'dot' in text, kind
        assert cubic_products(text, D) == [], kind
        assert custom_calls(text) == set(), kind
    # y, y W^T and dW of both layers, and the second's dx where it is not made from its y W^T.
    assert len(cubic_products(texts_of['hlo'], B)) == (6 if gradient == 'relative' else 7)


def test_step_of_ordinary_gradient_is_flagged():
    for kind, text in texts(gradient='ordinary').items():
        assert custom_calls(text), kind


def test_step_with_a_matrix_product_of_weights_is_flagged():
    for kind, text in texts(twist='W @ W.T').items():
        assert len(cubic_products(text, D)) >= 2, kind
        assert cubic_products(text, D + 1) == [], kind


def test_step_that_returns_the_loss_is_flagged():
    for kind, text in texts(twist='returns the loss').items():
        assert custom_calls(text), kind


@pytest.mark.parametrize('kind', ['stablehlo', 'hlo'])
def test_batched_products_are_read_with_their_batch_apart(kind):
    def text(subscripts, *shapes):
        arrays = [jnp.ones(shape) for shape in shapes]
        lowered = jax.jit(lambda *xs: jnp.einsum(subscripts, *xs)).lower(*arrays)
        return lowered.as_text() if kind == 'stablehlo' else lowered.compile().as_text()

    square, tall = (SEEDS, D, D), (SEEDS, B, D)
    assert cubic_products(text('sij,sjk->sik', square, square), D)
    assert cubic_products(text('sij,jk->sik', tall, (D, D)), D)  # rows of all seeds are one M
    assert cubic_products(text('sij,sjk->sik', tall, square), D) == []
    assert cubic_products(text('sbi,sbj->sij', tall, tall), D) == []


def test_unreadable_products_are_refused():
    with pytest.raises(ValueError, match='cannot read'):
        cubic_products('%0 = stablehlo.dot_general %a, %b', D)
    with pytest.raises(ValueError, match='cannot read'):
        cubic_products('  %c = f32[8,8]{1,0} dot(%a, %b), lhs_contracting_dims={1}', D)
