"""The affine layer y = x L U + b, whose log-determinant costs O(D).

Oliva et al., "Transformation autoregressive networks", 2018, arXiv:1801.09819; between the layers of Durkan et al.,
"Neural spline flows", 2019, arXiv:1906.04032. Unlike `RelativeAffine` it keeps the order of elimination that it starts
with, and needs no care with its gradient.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from flows.bijector import WithLogDet, check_float, wide_dtype, widen


class LUAffine(nn.Module):
    """L with a unit diagonal, U with the diagonal exp(s); it starts as the identity.

    Raises ValueError for an input of integers or booleans.
    """

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to y (B, D) and sum_d s_d (B,)."""
        L, U, s, b = self._parameters(x)
        y = widen(x) @ L @ U + b[None]
        return y.astype(x.dtype), jnp.full(x.shape[:1], s.sum(), wide_dtype(x))

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From y (B, D) to x (B, D) and -sum_d s_d (B,)."""
        L, U, s, b = self._parameters(z)
        columns = solve_triangular(U, (widen(z) - b[None]).T, trans=1)
        x = solve_triangular(L, columns, trans=1, lower=True, unit_diagonal=True).T
        return x.astype(z.dtype), jnp.full(z.shape[:1], -s.sum(), wide_dtype(z))

    @nn.compact
    def _parameters(self, x: jax.Array) -> tuple[jax.Array, ...]:
        check_float('LUAffine', x)
        D, dtype, zeros = x.shape[-1], wide_dtype(x), nn.initializers.zeros
        below, above = (self.param(name, zeros, (D, D), dtype) for name in ('L', 'U'))
        s, b = (self.param(name, zeros, (D,), dtype) for name in ('s', 'b'))
        L = jnp.tril(below, -1) + jnp.eye(D, dtype=dtype)
        return L, jnp.triu(above, 1) + jnp.diag(jnp.exp(s)), s, b
