"""What the trainer may ask of every model, and what it is told where a model says nothing else."""

from typing import ClassVar

import flax.linen as nn
import jax

Terms = dict[str, jax.Array]


class LikelihoodModel(nn.Module):
    """Base of the models of the zoo: `flows.Flow`, `flows.ImageFlow`, `vaes.LatentVariableModel`.

    A subclass defines the methods below that raise NotImplementedError. One that is not exact adds `elbo(x, keys)`, the
    bound from one draw, (B,), and `importance_estimate(x, keys, num_samples, proposal)`, a `flows.importance.Estimate`.

    Attributes:
        exact: whether `log_likelihood` is log p(x), not a bound.
        conditional: whether the density may be p(x | c): then `objective`, `log_likelihood` and `sample` take
            `context=None` as well, c (B, C), of `sample` (n, C). See `flows.Conditional`.
        has_posterior: whether there is a posterior over latents, with the methods of `vaes.LatentVariableModel`.
        refinable: whether importance samples can be drawn from `refined` proposals, see `vaes.refined`.
    """

    exact: ClassVar[bool]
    conditional: ClassVar[bool] = False
    has_posterior: ClassVar[bool] = False
    refinable: ClassVar[bool] = False

    @property
    def is_onto(self) -> bool:
        """Whether the model can be sampled: its map reaches all of the latent space."""
        return True

    @property
    def warning(self) -> str:
        """One sentence that a user should read before training, or nothing."""
        return ''

    def objective(self, x: jax.Array, keys: jax.Array, step: jax.Array) -> Terms:
        """Training: 'loss', which is minimised, and the terms to log, (B,) each in nats.

        Args:
            x: (B, D).
            keys: (B,) typed keys.
            step: () int32, the number of updates made so far.
        """
        raise NotImplementedError

    def log_likelihood(self, x: jax.Array, keys: jax.Array, num_samples: int) -> jax.Array:
        """log p(x) in nats, or the bound that `num_samples` draws by keys (B,) give, (B,), for x (B, D)."""
        raise NotImplementedError

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """n draws x ~ p(x), (n, D), float32."""
        raise NotImplementedError

    def diagnostics(self, x: jax.Array) -> Terms:
        """Signs of trouble ahead from rows x (B, D): name -> () float32."""
        del x
        return {}
