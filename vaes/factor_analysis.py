"""Factor analysis: the linear latent-variable model, whose likelihood is known.

Tipping, Bishop, 'Probabilistic principal component analysis', 1999, Journal of the Royal Statistical Society B 61(3).

    z ~ N(0, I_K),   x | z ~ N(W z + b, Psi),   so   x ~ N(b, W W^T + Psi),   Psi diagonal.

With A = Psi^-1/2 W, M = I_K + A^T A = L L^T, r = Psi^-1/2 (x - b) and mu = M^-1 A^T r, the mean of z given x, in O(D K)
for an example,

    log p(x) = -(D log 2 pi + log|Psi| + log|M| + |r - A mu|^2 + |mu|^2) / 2,

a sum of squares, where |r|^2 - |L^-1 A^T r|^2, the same, would be a small difference of large numbers.

It starts at the maximum of the likelihood for Psi = sigma^2 I, which has a closed form: b the mean, W = U_K (S_K -
sigma^2)^1/2 of the K largest variances S_K along the principal axes U_K, sigma^2 the mean of the other variances.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

from flows.model import LikelihoodModel, Terms

SMALLEST_VARIANCE = 1e-6


class FactorAnalysis(LikelihoodModel):
    """p(x) = N(x; b, W W^T + Psi).

    Attributes:
        num_features: D.
        num_factors: K, from 1 to D - 1.
        isotropic: Psi = sigma^2 I, as in probabilistic principal component analysis.

    Raises ValueError for a K out of its range.
    """

    num_features: int
    num_factors: int = 50
    isotropic: bool = False

    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.num_factors < self.num_features:
            raise ValueError(
                f'num_factors must be between 1 and {self.num_features - 1}, one less than the width of the data; '
                f'found {self.num_factors}.'
            )
        super().__post_init__()

    @nn.compact
    def _parameters(self, x: jax.Array | None = None) -> tuple[jax.Array, jax.Array, jax.Array]:
        """W (D, K), b (D,) and Psi^1/2 (D,); x (N, D) are the rows to start from."""
        D, K = self.num_features, self.num_factors
        start = None
        if self.is_initializing() and x is not None:
            start = principal_components(x, K)
        W, b, log_sigma = (
            self.param(
                name, lambda _, shape, i=i: jnp.zeros(shape) if start is None else start[i], shape
            )
            for i, (name, shape) in enumerate([('W', (D, K)), ('b', (D,)), ('log_sigma', ())])
        )
        if self.isotropic:
            return W, b, jnp.full(D, jnp.exp(log_sigma))
        log_ratio = self.param('log_ratio', nn.initializers.zeros, (D,))
        return W, b, jnp.exp(log_sigma + log_ratio)

    def log_likelihood(
        self, x: jax.Array, keys: jax.Array | None = None, num_samples: int | None = None
    ) -> jax.Array:
        """log p(x) in nats, exact, (B,), for x (B, D); keys and num_samples are not needed."""
        del keys, num_samples
        W, b, sigma = self._parameters(x)
        A, r = W / sigma[:, None], (x - b[None]) / sigma[None]
        L = jnp.linalg.cholesky(jnp.eye(self.num_factors) + A.T @ A)
        mu = cho_solve((L, True), A.T @ r.T)
        log_det = 2 * jnp.log(sigma).sum() + 2 * jnp.log(jnp.diagonal(L)).sum()
        squares = jnp.square(r.T - A @ mu).sum(0) + jnp.square(mu).sum(0)
        return -0.5 * (self.num_features * jnp.log(2 * jnp.pi) + log_det + squares)

    def objective(self, x: jax.Array, keys: jax.Array, step: jax.Array) -> Terms:
        """{'loss', 'nll'}, both -log p(x) in nats, (B,), for x (B, D)."""
        del keys, step
        nll = -self.log_likelihood(x)
        return {'loss': nll, 'nll': nll}

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """n draws x ~ p(x), (n, D), float32."""
        W, b, sigma = self._parameters()
        key_z, key_noise = jax.random.split(key)
        z = jax.random.normal(key_z, (n, self.num_factors))
        noise = jax.random.normal(key_noise, (n, self.num_features))
        return z @ W.T + b[None] + sigma[None] * noise


def principal_components(x: jax.Array, K: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(W (D, K), b (D,), log sigma ()) of greatest likelihood for rows x (N, D) and Psi = sigma^2 I.

    Tipping and Bishop, equations 7 and 8.
    """
    b = x.mean(0)
    centred = x - b[None]
    S, U = jnp.linalg.eigh(centred.T @ centred / len(x))  # variances, rising
    variance = jnp.maximum(S[:-K].mean(), SMALLEST_VARIANCE)
    W = U[:, -K:] * jnp.sqrt(jnp.maximum(S[-K:] - variance, 0))[None]
    return W, b, jnp.log(variance) / 2
