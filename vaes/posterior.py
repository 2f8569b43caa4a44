"""The approximate posterior q(z | x) as a value.

What a model's `posterior(x, keys)` returns. Everything that does not depend on the draw (encoder,
refinement, factorisation) is done when the value is made; drawing from it any number of times is
cheap.
"""

import jax
from flax import struct

from vaes.distributions import LatentDistribution


@struct.dataclass
class Posterior:
    """q(z | x) of a batch, and how its mean got there.

    Attributes:
        distribution: a frozen pytree with `sample_and_log_prob(keys, shape)` and
            `kl_to_standard_normal()`.
        trace: (T + 1, B, k), the mean before and after each of T refinement steps (T = 0 without
            refinement).
    """

    distribution: LatentDistribution
    trace: jax.Array

    def sample_and_log_prob(
        self, keys: jax.Array, shape: tuple[int, ...] = ()
    ) -> tuple[jax.Array, jax.Array]:
        """z (*shape, B, k) ~ q and log q(z | x) (*shape, B), from one key per example (B,)."""
        return self.distribution.sample_and_log_prob(keys, shape)

    def kl_to_standard_normal(self) -> jax.Array | None:
        """KL(q || N(0, I)), (B,), or None where it has no closed form."""
        return self.distribution.kl_to_standard_normal()
