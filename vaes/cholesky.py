"""The inverse Cholesky factor of many small matrices, by matrix products alone.

    P = L L^T      R = L^-1 (lower)      P^-1 = R^T R      log det P = -2 sum log R_ii

With blocks P = [[A, B^T], [B, C]], W = B R_A^T and S = C - W W^T:

    R = [[R_A, 0], [-R_S W R_A, R_S]]

and with Phi the lower triangle at half the diagonal, R changes by dR = -Phi(R dP R^T) R.

Multiplying by inverses loses more digits than solving with factors does. In float32 and for k = 50, P may have
eigenvalues from 1 to 1e5; far above that LAPACK still finds a factor where this gives NaN.

LAPACK's batched routines are not used: on the CPU each call blocks a thread of XLA's pool until
others have done its work, so as many calls at a time as there are threads (two, on two cores) wait
for ever. On an accelerator matrix products are the faster way as well.
"""

from typing import Any

import jax
import jax.numpy as jnp

LARGEST_LEAF = 8


@jax.custom_vjp
def inverse_cholesky(precision: jax.Array) -> jax.Array:
    """R (B, k, k), lower, with R^T R = P^-1, of symmetric positive definite P (B, k, k).

    NaN for an example whose P is not positive definite.
    """
    return _by_blocks(precision)


def _forward(precision: jax.Array) -> tuple[jax.Array, jax.Array]:
    factor = _by_blocks(precision)
    return factor, factor


def _backward(factor: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    inner = jnp.tril(_product(cotangent, _transpose(factor)))
    inner = inner - 0.5 * inner * jnp.eye(factor.shape[-1], dtype=factor.dtype)[None]
    gradient = _product(_transpose(factor), _product(inner, factor))
    return (-0.5 * (gradient + _transpose(gradient)),)


inverse_cholesky.defvjp(_forward, _backward)


def solve(factor: jax.Array, b: jax.Array) -> jax.Array:
    """P^-1 b (B, k) from R (B, k, k) and b (B, k)."""
    whitened = jnp.einsum('bij,bj->bi', factor, b)
    return jnp.einsum('bji,bj->bi', factor, whitened)


def _by_blocks(p: Any) -> jax.Array:
    size = p.shape[-1]
    if size <= LARGEST_LEAF:
        return _by_elimination(p)
    half = size // 2
    b, c = p[:, half:, :half], p[:, half:, half:]
    top = _by_blocks(p[:, :half, :half])
    w = _product(b, _transpose(top))
    bottom = _by_blocks(c - _product(w, _transpose(w)))
    left = -_product(bottom, _product(w, top))
    upper = jnp.concatenate([top, jnp.zeros_like(_transpose(left))], axis=2)
    return jnp.concatenate([upper, jnp.concatenate([left, bottom], axis=2)], axis=1)


def _by_elimination(p: Any) -> jax.Array:
    """Gaussian elimination of [P | I] with rows scaled by 1 / sqrt(pivot): leaves [L^T | R]."""
    size = p.shape[-1]
    identity = jnp.broadcast_to(jnp.eye(size, dtype=p.dtype), p.shape)
    indices = jnp.arange(size)

    def eliminate(pivot: jax.Array, matrix: jax.Array) -> jax.Array:
        row = matrix[:, pivot]
        row = row * jax.lax.rsqrt(row[:, pivot])[:, None]
        multiples = jnp.where(indices[None] > pivot, row[:, :size], 0.0)
        matrix = matrix - multiples[:, :, None] * row[:, None]
        return matrix.at[:, pivot].set(row)

    matrix = jax.lax.fori_loop(0, size, eliminate, jnp.concatenate([p, identity], axis=2))
    return matrix[:, :, size:]


def _transpose(matrices: jax.Array) -> jax.Array:
    return jnp.swapaxes(matrices, -1, -2)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision='highest')
