"""Products of tangents against the same written out, in value and gradient, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.laplace_models import B, D, H, K
from vaes.tangent_products import gram, gram_product, weighted_product

pytestmark = pytest.mark.usefixtures('x64')


def random(*shapes):
    return [jax.random.normal(jax.random.key(i), s, jnp.float64) for i, s in enumerate(shapes)]


def written_out(tangents, middle):
    return jnp.einsum('bkh,hi,bli->bkl', tangents, middle, tangents)


def weighted_written_out(tangents, kernel, weights):
    return jnp.einsum('bkh,hd,bd,id,bli->bkl', tangents, kernel, weights, kernel, tangents)


CASES = {
    'gram': (gram, lambda w: w @ w.T, [(H, D)]),
    'gram_product': (
        lambda t, w: gram_product(t, gram(w)),
        lambda t, w: written_out(t, w @ w.T),
        [(B, K, H), (H, D)],
    ),
    'weighted_product': (weighted_product, weighted_written_out, [(B, K, H), (H, D), (B, D)]),
}


@pytest.mark.parametrize('case', CASES)
def test_products_have_the_value_and_gradient_of_what_they_stand_for(case):
    product, plain, shapes = CASES[case]
    arguments = random(*shapes)

    def value_and_gradient(function):
        def loss(*arguments):
            value = function(*arguments)
            # Weights without symmetry: the gradient must not take that of the cotangent for granted.
            return jnp.vdot(jnp.arange(value.size).reshape(value.shape) / value.size, value), value

        numbers = tuple(range(len(arguments)))
        gradient, value = jax.jit(jax.grad(loss, numbers, has_aux=True))(*arguments)
        return value, gradient

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10),
        value_and_gradient(product),
        value_and_gradient(plain),
    )
