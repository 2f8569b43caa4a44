"""What exact flows share: log p(x) = log p_Z(f(x)) + log|det df/dx|, bijector f and base density p_Z.

Of a `Conditional` flow f depends on a context c as well, and the density is p(x | c).
"""

from typing import ClassVar

import jax

from flows.base_densities import BaseDensity, Gaussian
from flows.bijector import WithLogDet, handed
from flows.model import LikelihoodModel, Terms


class Flow(LikelihoodModel, kw_only=True):
    """Base of the exact flows. A subclass adds the two methods of a bijector and `num_features`.

    Attributes:
        base: the density of z.

    `is_onto` says whether f reaches all of the latent space; where it does not, `warning` says what
    that means and `sample` refuses. A subclass with a RelativeAffine inside overrides `objective`,
    so that no named term but `loss` needs log|det W|. A context goes to the bijector of a `Conditional` flow; to any
    other it is a ValueError.
    """

    base: BaseDensity = Gaussian()

    exact: ClassVar[bool] = True

    @property
    def num_features(self) -> int:
        """The width D of an initialised model."""
        raise NotImplementedError

    @property
    def warning(self) -> str:
        """What it means that the flow is not onto."""
        if self.is_onto:
            return ''
        return (
            f'{type(self).__name__} does not reach the whole latent space, so its density '
            'integrates to less than one, its log-likelihood is a lower bound of the normalised '
            'one and it cannot be sampled: choose smooth_leaky_relu or leaky_tanh.'
        )

    def forward_and_log_det(self, x: jax.Array) -> WithLogDet:
        """From x (B, D) to z (B, D) and log|det dz/dx| (B,)."""
        raise NotImplementedError

    def inverse_and_log_det(self, z: jax.Array) -> WithLogDet:
        """From z (B, D) to x (B, D) and log|det dx/dz| (B,)."""
        raise NotImplementedError

    def objective(
        self,
        x: jax.Array,
        keys: jax.Array | None,
        step: jax.Array | None,
        context: jax.Array | None = None,
    ) -> Terms:
        """{'loss', 'nll'}, both -log p(x | c) in nats, (B,), for x (B, D) and c (B, C) or none."""
        del keys, step
        nll = -self.log_likelihood(x, context=context)
        return {'loss': nll, 'nll': nll}

    def log_likelihood(
        self,
        x: jax.Array,
        keys: jax.Array | None = None,
        num_samples: int | None = None,
        context: jax.Array | None = None,
    ) -> jax.Array:
        """log p(x | c) in nats, exact, (B,), for x (B, D) and c (B, C) or none; keys and num_samples are not needed."""
        del keys, num_samples
        self._check(context)
        z, log_det = self.forward_and_log_det(x, **handed(self, context))
        return self.base.log_prob(z, **handed(self.base, context)) + log_det

    def sample(self, key: jax.Array, n: int, context: jax.Array | None = None) -> jax.Array:
        """n draws x ~ p(x | c), (n, D), float32, for c (n, C) or none. Raises ValueError where the flow is not onto."""
        if not self.is_onto:
            raise ValueError(self.warning)
        self._check(context)
        z = self.base.sample(key, (n, self.num_features), **handed(self.base, context))
        return self.inverse_and_log_det(z, **handed(self, context))[0]

    def _check(self, context: jax.Array | None) -> None:
        if context is not None and not self.conditional:
            raise ValueError(
                f'{type(self).__name__} takes no context, got one of shape {context.shape}: leave it out, or choose '
                'a conditional flow such as CouplingFlow.'
            )
