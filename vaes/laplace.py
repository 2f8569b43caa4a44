"""The Newton system of log p(x, z) in z, whose solution is a Laplace approximation's.

With f(z) the decoder's output, J = df/dz, r = d log p(x | f)/df and C = -d^2 log p(x | f)/df^2
(diagonal), a piecewise linear f gives exactly

    gradient  g = J^T r - z            precision  P = I + J^T C J = -d^2 log p(x, z)/dz^2

J, (D, k) for each example, is never kept. For a ReLU network J^T = T W with T (k, h) and the output
kernel W (h, D): if C is a number, J^T C J = C T (W W^T) T^T, whose middle is computed once a batch.
Another decoder is differentiated forward, all k columns at a time. Either way a group of examples
follows another, few enough for their matrices to stay in a processor's cache.

A step's direction d = P^-1 g needs the entries of P only to factor it. Its derivative,
P^-1 (dg - dP d), needs P times vectors, which are products with J and J^T: the backward pass through
a step solves with the factor kept, and costs a few passes of the decoder instead of k.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from vaes import mlp
from vaes.cholesky import inverse_cholesky
from vaes.distributions import Likelihood
from vaes.groups import map_groups

FACTOR = 'factor'  # what is worth keeping for the backward pass of a step; the rest is cheap
KEEP_FACTOR = jax.checkpoint_policies.save_only_these_names(FACTOR)
VALUES_AT_A_TIME = 2**20  # of the Jacobian, of all examples together: 4 MiB in float32

LINE_SEARCH = (*(0.5**i for i in range(10)), 0.0)


def newton_system(
    decoder: Any, variables: Any, likelihood: Likelihood
) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """Function (x (B, D), z (B, k)) -> (g (B, k), P (B, k, k)) for an unbound Linen decoder.

    Raises ValueError (when called) if the decoder does not allow forward-mode differentiation.
    """
    precision = _precision(decoder, variables, likelihood)

    def system(x: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        gradient, _ = _gradient_and_product(decoder, variables, likelihood, x, z)
        return gradient, precision(z)

    return system


def newton_direction(
    decoder: Any, variables: Any, likelihood: Likelihood
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Function (x (B, D), z (B, k)) -> P^-1 g (B, k); raises as `newton_system` does."""
    precision = _precision(decoder, *jax.lax.stop_gradient((variables, likelihood)))

    def direction(x: jax.Array, z: jax.Array) -> jax.Array:
        factor = inverse_cholesky(precision(jax.lax.stop_gradient(z)))
        factor = checkpoint_name(factor, FACTOR)

        def solve(_: Any, b: jax.Array) -> jax.Array:
            whitened = jnp.einsum('bij,bj->bi', factor, b)
            return jnp.einsum('bji,bj->bi', factor, whitened)

        gradient, product = _gradient_and_product(decoder, variables, likelihood, x, z)
        return jax.lax.custom_linear_solve(product, gradient, solve, symmetric=True)

    return direction


def best_step(
    log_joint: Callable[[jax.Array], jax.Array], z: jax.Array, direction: jax.Array
) -> jax.Array:
    """z + a d with the best of the steps a = 1, 1/2 .. 2^-9, 0 by log_joint, for each example.

    log_joint: (n, B, k) -> (n, B). No gradient goes through the choice of a.
    """
    scales = jnp.asarray(LINE_SEARCH, z.dtype)
    values = log_joint(z[None] + scales[:, None, None] * direction[None])
    best = jnp.argmax(jnp.nan_to_num(values, nan=-jnp.inf), axis=0)
    return z + scales[best][:, None] * direction


def _gradient_and_product(
    decoder: Any, variables: Any, likelihood: Likelihood, x: jax.Array, z: jax.Array
) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    """g (B, k) and the function v (B, k) -> P v (B, k), by products with J and J^T."""
    f, push_forward = jax.linearize(lambda inputs: decoder.apply(variables, inputs), z)
    pull_back = jax.linear_transpose(push_forward, z)
    curvature = likelihood.curvature(f)

    def product(v: jax.Array) -> jax.Array:
        return v + pull_back(curvature * push_forward(v))[0]

    return pull_back(likelihood.score(x, f))[0] - z, product


def _precision(
    decoder: Any, variables: Any, likelihood: Likelihood
) -> Callable[[jax.Array], jax.Array]:
    """Function z (B, k) -> P (B, k, k)."""
    if isinstance(decoder, mlp.Decoder):
        return _relu_precision(decoder, variables, likelihood)
    return _forward_mode_precision(decoder, variables, likelihood)


def _relu_precision(
    decoder: Any, variables: Any, likelihood: Likelihood
) -> Callable[[jax.Array], jax.Array]:
    kernel = decoder.apply(variables, method='output_kernel')
    gram = kernel @ kernel.T
    one_curvature = jax.eval_shape(likelihood.curvature, kernel).ndim == 0

    # What the value of T does not need is computed again, T itself is kept.
    @jax.checkpoint
    def value_and_tangents(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        return decoder.apply(variables, z, method='tangents')

    def precision_of_group(z: jax.Array) -> jax.Array:
        f, tangents = value_and_tangents(z)
        curvature = likelihood.curvature(f)
        if one_curvature:
            product = curvature * gram_product(tangents, gram)
        else:
            product = weighted_product(tangents, kernel, curvature)
        return _identity_like(product) + product

    def precision(z: jax.Array) -> jax.Array:
        width = kernel.shape[0] if one_curvature else max(kernel.shape)
        group = max(1, VALUES_AT_A_TIME // (z.shape[-1] * width))
        return map_groups(lambda rows: precision_of_group(z[rows]), len(z), group)

    return precision


@jax.custom_vjp
def gram_product(tangents: jax.Array, gram: jax.Array) -> jax.Array:
    """T G T^T for T (B, k, h) and a symmetric G (h, h): (B, k, k).

    The backward pass uses the symmetry and keeps nothing besides the arguments.
    """
    return jnp.einsum('bkh,blh->bkl', tangents @ gram, tangents)


def _gram_product_forward(
    tangents: jax.Array, gram: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return gram_product(tangents, gram), (tangents, gram)


def _gram_product_backward(
    saved: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    tangents, gram = saved
    symmetric = 0.5 * (cotangent + jnp.swapaxes(cotangent, -1, -2))
    product = symmetric @ tangents
    # As one matrix product: with two axes summed over, XLA on the CPU falls back to plain loops.
    rows, columns = (a.reshape(-1, a.shape[-1]) for a in (tangents, product))
    return 2.0 * (product @ gram), rows.T @ columns


gram_product.defvjp(_gram_product_forward, _gram_product_backward)


@jax.checkpoint
def weighted_product(tangents: jax.Array, kernel: jax.Array, curvature: jax.Array) -> jax.Array:
    """T W diag(c) W^T T^T for T (B, k, h), W (h, D), c (B, D): (B, k, k)."""
    rows = tangents @ kernel
    return jnp.einsum('bkd,bld->bkl', rows * curvature[:, None], rows)


def _forward_mode_precision(
    decoder: Any, variables: Any, likelihood: Likelihood
) -> Callable[[jax.Array], jax.Array]:
    def precision_of_group(z: jax.Array) -> jax.Array:
        f, columns = _value_and_columns(lambda inputs: decoder.apply(variables, inputs), z)
        weighted = columns * jnp.broadcast_to(likelihood.curvature(f), f.shape)[None]
        product = jnp.einsum('kbd,lbd->bkl', weighted, columns)
        return _identity_like(product) + product

    precision_of_group = jax.checkpoint(precision_of_group)

    def precision(z: jax.Array) -> jax.Array:
        num_features = jax.eval_shape(lambda inputs: decoder.apply(variables, inputs), z).shape[-1]
        group = max(1, VALUES_AT_A_TIME // (num_features * z.shape[-1]))
        return map_groups(lambda rows: precision_of_group(z[rows]), len(z), group)

    return precision


def _value_and_columns(
    function: Callable[[jax.Array], Any], z: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """f(z) (B, D) and its Jacobian's columns (k, B, D), for a function of each example alone."""
    directions = jnp.eye(z.shape[-1], dtype=z.dtype)
    try:
        f, push_forward = jax.linearize(function, z)
        return f, jax.vmap(lambda d: push_forward(jnp.broadcast_to(d, z.shape)))(directions)
    except TypeError as error:
        if 'custom_vjp' not in str(error):
            raise
        raise ValueError(
            'The decoder of a Laplace autoencoder must allow forward-mode differentiation; this one '
            'has a layer with a reverse-mode rule of its own (custom_vjp), such as a relative '
            'gradient; use an ordinary layer there.'
        ) from error


def _identity_like(matrices: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.eye(matrices.shape[-1], dtype=matrices.dtype), matrices.shape)
