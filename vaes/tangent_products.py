"""Products of the tangents T of many examples, from which their precision matrices are made.

T is (B, k, h), k vectors in a hidden layer of h units for each of B examples; see `vaes.laplace`.
"""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def gram(kernel: jax.Array) -> jax.Array:
    """W W^T (h, h) for W (h, D). The backward pass uses the symmetry: one product in place of two."""
    return kernel @ kernel.T


def _gram_forward(kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    return gram(kernel), kernel


def _gram_backward(kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    return ((cotangent + cotangent.T) @ kernel,)


gram.defvjp(_gram_forward, _gram_backward)


@jax.custom_vjp
def gram_product(tangents: jax.Array, gram: jax.Array) -> jax.Array:
    """T G T^T for T (B, k, h) and a symmetric G (h, h): (B, k, k).

    The backward pass has T G from the forward pass, as large as T, and uses the symmetry.
    """
    return _gram_product_forward(tangents, gram)[0]


def _gram_product_forward(
    tangents: jax.Array, gram: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    product = tangents @ gram
    return jnp.einsum('bkh,blh->bkl', product, tangents), (tangents, product)


def _gram_product_backward(
    saved: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    tangents, product = saved
    twice = cotangent + jnp.swapaxes(cotangent, -1, -2)
    # As one matrix product: with two axes summed over, XLA on the CPU falls back to plain loops.
    rows, columns = (a.reshape(-1, a.shape[-1]) for a in (tangents, 0.5 * twice @ tangents))
    return twice @ product, rows.T @ columns


gram_product.defvjp(_gram_product_forward, _gram_product_backward)


@jax.custom_vjp
def weighted_product(tangents: jax.Array, kernel: jax.Array, weights: jax.Array) -> jax.Array:
    """T W diag(c) W^T T^T for T (B, k, h), W (h, D), c (B, D): (B, k, k).

    The backward pass has T W (B, k, D) from the forward pass, and uses the symmetry.
    """
    return _weighted_product_forward(tangents, kernel, weights)[0]


def _weighted_product_forward(
    tangents: jax.Array, kernel: jax.Array, weights: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    rows = tangents @ kernel
    product = jnp.einsum('bkd,bld->bkl', rows * weights[:, None], rows)
    return product, (tangents, kernel, weights, rows)


def _weighted_product_backward(
    saved: tuple[jax.Array, ...], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    tangents, kernel, weights, rows = saved
    twice = (cotangent + jnp.swapaxes(cotangent, -1, -2)) @ rows
    of_weights = 0.5 * jnp.sum(twice * rows, axis=1)
    of_rows = twice * weights[:, None]
    flat, columns = (a.reshape(-1, a.shape[-1]) for a in (tangents, of_rows))
    return of_rows @ kernel.T, flat.T @ columns, of_weights


weighted_product.defvjp(_weighted_product_forward, _weighted_product_backward)
