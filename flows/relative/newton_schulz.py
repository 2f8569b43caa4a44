"""The inverse of a matrix by Newton-Schulz iterations, which are matrix products alone.

    C <- C (2 I - W C) = 2 C - C (W C)    squares the residual I - W C

From an inverse of a W a few steps older one or two are enough. Schulz, "Iterative Berechnung der reziproken Matrix",
1933; the start W^T / (|W|_1 |W|_inf), which converges for every W, is by Ben-Israel and Cohen, 1966.
"""

import jax
import jax.numpy as jnp

# Iterations end when |I - W C|_F is below this; the one after would square it.
RESIDUAL = 1e-2
MOST_ITERATIONS = 100

Carry = tuple[jax.Array, jax.Array, jax.Array, int]  # C, |I - W C|_F, W C and the count


def newton_schulz(W: jax.Array, C: jax.Array) -> jax.Array:
    """The inverse of W (D, D) by iterations from C (D, D), or from a safe start where C is too far off."""

    def residual(C: jax.Array) -> tuple[jax.Array, jax.Array]:
        # |I - W C|_F, and W C for the iteration.
        product = W @ C
        return jnp.linalg.norm(jnp.eye(len(W), dtype=W.dtype) - product), product

    def goes_on(carry: Carry) -> jax.Array:
        _, off, _, count = carry
        # Written so that a residual that is not a number goes on as well, to the safe start.
        return ~(off <= RESIDUAL) & (count < MOST_ITERATIONS)

    def iterate(carry: Carry) -> Carry:
        C, off, product, count = carry
        improved = 2 * C - C @ product
        new_off, new_product = residual(improved)
        lost = ~(new_off < jnp.maximum(off, 1.01 * len(W) ** 0.5))
        improved = jnp.where(lost, safe_start(W), improved)
        new_off, new_product = jax.lax.cond(
            lost, lambda: residual(improved), lambda: (new_off, new_product)
        )
        return improved, new_off, new_product, count + 1

    C, _, product, _ = jax.lax.while_loop(goes_on, iterate, (C, *residual(C), 0))
    return 2 * C - C @ product


def safe_start(W: jax.Array) -> jax.Array:
    """W^T / (|W|_1 |W|_inf), from which the iterations converge for every W that has an inverse."""
    return W.T / (jnp.abs(W).sum(0).max() * jnp.abs(W).sum(1).max())
