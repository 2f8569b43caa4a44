"""Inverse autoregressive flow.

Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling, "Improving Variational Inference with
Inverse Autoregressive Flow", NeurIPS 2016, arXiv:1606.04934, with the masked network of Germain,
Gregor, Murray, Larochelle, "MADE", ICML 2015, arXiv:1502.03509:

    (m, s) = MADE(z, e)      sigma = sigmoid(s)      z' = sigma z + (1 - sigma) m
    log q(z') = log q(z) - sum log sigma

m_d and s_d depend on z_1 .. z_{d-1} and on all of the context e. The order of z is reversed
between flows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct
from flax.typing import Initializer

from vaes import mlp
from vaes.distributions import DiagonalGaussian, along
from vaes.posterior import Posterior
from vaes.vae import VAE


class MADE(nn.Module):
    """One masked hidden layer: z (..., k), e (..., h) -> m, s (..., k).

    Hidden unit j has degree j mod k: it sees z_1 .. z_degree and the whole context, and reaches
    the outputs d > degree. Units of degree 0 carry the context alone, to every output.
    """

    iaf_dim: int
    initialisation: str

    @nn.compact
    def __call__(self, z: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
        k = z.shape[-1]
        degrees, indices = np.arange(self.iaf_dim) % k, np.arange(1, k + 1)
        kernel_init = mlp.kaiming_uniform(self.initialisation)
        normal, ones = nn.initializers.normal(1.0), nn.initializers.ones

        def masked(
            name: str, inputs: jax.Array, kernel_mask: np.ndarray, bias_init: Initializer
        ) -> jax.Array:
            kernel = self.param(f'{name}_kernel', kernel_init, kernel_mask.shape)
            bias = self.param(f'{name}_bias', bias_init, kernel_mask.shape[1:])
            y = inputs @ jnp.where(kernel_mask, kernel, 0.0)
            return y + along((1,) * (y.ndim - 1), bias)

        hidden = masked('z', z, indices[:, None] <= degrees[None], normal)
        hidden += nn.Dense(self.iaf_dim, False, kernel_init=kernel_init, name='context')(context)
        slope = self.param('slope', nn.initializers.constant(0.25), ())
        hidden = jnp.where(hidden > 0.0, hidden, slope * hidden)
        reaches = degrees[:, None] < indices[None]
        m = masked('m', hidden, reaches, normal)
        s = masked('s', hidden, reaches, lambda *args: 2.0 * ones(*args))
        return m, s


class InverseAutoregressiveFlow(nn.Module):
    """`n_flow` steps on z (..., k) in context e (..., h): returns z' and log |det dz'/dz| (...)."""

    n_flow: int
    iaf_dim: int
    initialisation: str

    def setup(self) -> None:
        self.mades = [MADE(self.iaf_dim, self.initialisation) for _ in range(self.n_flow)]

    def __call__(self, z: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
        log_det = jnp.zeros(z.shape[:-1], z.dtype)
        for index, made in enumerate(self.mades):
            if index > 0:
                z = z[..., ::-1]
            m, s = made(z, context)
            z = nn.sigmoid(s) * z + nn.sigmoid(-s) * m
            log_det += jnp.sum(nn.log_sigmoid(s), axis=-1)
        reversals = max(0, self.n_flow - 1)
        return (z[..., ::-1] if reversals % 2 else z), log_det


@struct.dataclass
class FlowGaussian:
    """A diagonal Gaussian after a flow `apply(variables, z, context) -> (z', log_det)`."""

    base: DiagonalGaussian
    context: jax.Array
    variables: Any
    flow: nn.Module = struct.field(pytree_node=False)

    def sample_and_log_prob(
        self, keys: jax.Array, shape: tuple[int, ...] = ()
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z (*shape, B, k) and log q(z) (*shape, B), from `keys` (B,)."""
        z, log_q = self.base.sample_and_log_prob(keys, shape)
        moved: Any = self.flow.apply(self.variables, z, along(shape, self.context))
        z, log_det = moved
        return z, log_q - log_det

    def kl_to_standard_normal(self) -> None:
        """None: the KL of a flow has no closed form."""
        return None


class IAFVAE(VAE, kw_only=True):
    """VAE whose posterior passes `n_flow` inverse autoregressive flows of `iaf_dim` units."""

    n_flow: int = 4
    iaf_dim: int = 500

    def setup(self) -> None:
        super().setup()
        self.flow = InverseAutoregressiveFlow(self.n_flow, self.iaf_dim, self.initialisation)

    def initialise(self, x: jax.Array) -> None:
        super().initialise(x)
        self.flow(jnp.zeros((1, self.z_dim), x.dtype), jnp.zeros((1, self.hidden_dim), x.dtype))

    def posterior(self, x: jax.Array, keys: jax.Array) -> Posterior:
        """q(z | x), a `Posterior` whose trace is the base's mean; x (B, D), keys (B,)."""
        del keys
        features = self.features(x)
        base = self.encode(features)
        flow, variables = self.flow.unbind()
        return Posterior(FlowGaussian(base, features, variables, flow), trace=base.mean[None])
