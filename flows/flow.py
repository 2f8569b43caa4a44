"""What exact flows share: log p(x) = log p_Z(f(x)) + log|det df/dx|, bijector f and base density p_Z.

Of a `Conditional` flow f depends on a context c as well, and the density is p(x | c).
"""

from collections.abc import Sequence
from typing import ClassVar

import jax

from flows.base_densities import BaseDensity, Gaussian
from flows.bijector import Bijector, WithLogDet, handed, layers_within
from flows.model import LikelihoodModel, Terms


class Flow(LikelihoodModel, kw_only=True):
    """Base of the exact flows. A subclass adds the two methods of a bijector and `num_features`.

    Attributes:
        base: the density of z.

    `is_onto` says whether f reaches all of the latent space; where it does not, `warning` says what
    that means and `sample` refuses. With a RelativeAffine inside no named term of `objective` but `loss` needs
    log|det W|. A context (B, C) goes to the bijector of a `Conditional` flow; to any other it is a ValueError, as is
    one of another length than x, and among the `parts` a layer with a gradient that needs the step.
    """

    base: BaseDensity = Gaussian()

    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if any(getattr(part, 'needs_step', False) for part in layers_within(self.parts)):
            raise ValueError(
                f"{type(self).__name__} tells its layers no step, which gradient='amortised' needs: choose relative or "
                'ordinary, or an MLPFlow.'
            )
        super().__post_init__()

    @property
    def parts(self) -> Sequence[Bijector]:
        """The bijectors that f was given, which decide whether it is onto."""
        return ()

    @property
    def is_onto(self) -> bool:
        """Whether every latent has an inverse."""
        return all(getattr(part, 'onto', True) for part in layers_within(self.parts))

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
        """{'loss'}, and 'nll' where its value is cheap, both -log p(x | c) in nats, (B,), for x (B, D) and maybe c."""
        del keys, step
        nll = -self.log_likelihood(x, context=context)
        if any(getattr(part, 'costly_log_det', False) for part in layers_within(self.parts)):
            return {'loss': nll}
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
        self._check(context, len(x))
        z, log_det = self.forward_and_log_det(x, **handed(self, context))
        return self.base.log_prob(z, **handed(self.base, context)) + log_det

    def sample(self, key: jax.Array, n: int, context: jax.Array | None = None) -> jax.Array:
        """n draws x ~ p(x | c), (n, D), float32, for c (n, C) or none. Raises ValueError where the flow is not onto."""
        if not self.is_onto:
            raise ValueError(self.warning)
        self._check(context, n)
        z = self.base.sample(key, (n, self.num_features), **handed(self.base, context))
        return self.inverse_and_log_det(z, **handed(self, context))[0]

    def _check(self, context: jax.Array | None, rows: int) -> None:
        if context is None:
            return
        if not self.conditional:
            raise ValueError(
                f'{type(self).__name__} takes no context, got one of shape {context.shape}: leave it out, or choose '
                'a conditional flow such as CouplingFlow.'
            )
        if len(context) != rows:
            raise ValueError(
                f'a context must have a row for each of the {rows} rows of x, got shape {context.shape}: repeat it, as '
                'by jnp.broadcast_to.'
            )
