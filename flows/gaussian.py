"""A Gaussian with full covariance for each class, the model that conditional ones are measured against.

It stands in the tables of Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", 2017,
arXiv:1705.07057. With a one-hot context c, or one class where there is none,

    p(x | c) = N(x; mu_c, Sigma_c),   Sigma_c^-1 = W_c W_c^T,   W_c upper triangular,
    z = (x - mu_c) W_c,   log|det dz/dx| = sum_d log|W_c,dd|.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from flows.bijector import Conditional, WithLogDet, check_float, wide_dtype
from flows.flow import Flow
from flows.relative.affine_layer import EPSILON


class GaussianFlow(Conditional, Flow):
    """Starts where its likelihood is greatest on the rows (N, D) that it is initialised with, each with its class.

    1e-3 is added to the diagonal of each Sigma_c, as to the variances of a whitening start, so that a class may have
    fewer rows than dimensions, though in float32 not a handful: where the largest variance is some ten million times
    that, the start is not finite, and a training ends at its first step. A class without rows starts at mean zero.

    Attributes:
        base: density of z; the Gaussian of the formulas by default.
    """

    @property
    def num_features(self) -> int:
        """The width D of an initialised model."""
        mean: jax.Array = self.get_variable('params', 'mean')
        return mean.shape[1]

    @nn.compact
    def _parameters(
        self, x: jax.Array, context: jax.Array | None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """c (B, K), the means (K, D) and W (K, D, D), upper triangular."""
        check_float('GaussianFlow', x)
        dtype = wide_dtype(x)
        c = jnp.ones((len(x), 1), dtype) if context is None else context.astype(dtype)
        start = gaussians(x.astype(dtype), c) if self.is_initializing() else None
        K, D = c.shape[1], x.shape[1]
        mean, W = (
            self.param(
                name, lambda _, shape, i=i: jnp.zeros(shape) if start is None else start[i], shape
            )
            for i, (name, shape) in enumerate([('mean', (K, D)), ('W', (K, D, D))])
        )
        return c, mean, jnp.triu(W)

    def forward_and_log_det(self, x: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From x (B, D), given c (B, K), to z (B, D) and log|det dz/dx| (B,)."""
        c, mean, W = self._parameters(x, context)
        centred = c[:, :, None] * (x - c @ mean)[:, None]  # (B, K, D), zero in other classes
        z = jnp.einsum('bkd,kde->be', centred, W)
        return z.astype(x.dtype), c @ log_scales(W)

    def inverse_and_log_det(self, z: jax.Array, context: jax.Array | None = None) -> WithLogDet:
        """From z (B, D), given c (B, K), to x (B, D) and log|det dx/dz| (B,)."""
        c, mean, W = self._parameters(z, context)
        solved = jax.lax.map(lambda W: solve_triangular(W, z.T, trans=1).T, W)
        x = jnp.einsum('bk,kbd->bd', c, solved) + c @ mean
        return x.astype(z.dtype), -(c @ log_scales(W))


def log_scales(W: jax.Array) -> jax.Array:
    """log|det W_k| (K,) of triangular matrices (K, D, D)."""
    return jnp.log(jnp.abs(jnp.diagonal(W, axis1=1, axis2=2))).sum(-1)


def gaussians(x: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean (K, D) and W (K, D, D) of each class, from rows x (N, D) and their classes c (N, K), one-hot."""

    def one(member: jax.Array) -> tuple[jax.Array, jax.Array]:
        n, rows = jnp.maximum(member.sum(), 1), member[:, None]
        mean = (rows * x).sum(0) / n
        centred = rows * (x - mean[None])
        L = jnp.linalg.cholesky(centred.T @ centred / n + EPSILON * jnp.eye(x.shape[1]))
        return mean, solve_triangular(L, jnp.eye(x.shape[1]), lower=True).T

    return jax.lax.map(one, c.T)
