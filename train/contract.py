"""What the trainer asks of a model. Linen modules that derive from `flows.LikelihoodModel` have the optional half.

All methods are called through `Module.apply`, with the variables of the model. x is (B, D), keys (B,) typed keys, one
for each example, and numbers are in nats of model space.
"""

from typing import Any, Protocol, TypeAlias

import jax

from flows.importance import Estimate
from flows.model import Terms

Variables: TypeAlias = dict[str, Any]  # the collections of a model by name, `params` among them


def given(context: jax.Array | None) -> dict[str, jax.Array]:
    """The keyword arguments that hand a context c (B, C) to a conditional model, none where there is no context."""
    return {} if context is None else {'context': context}


class Model(Protocol):
    """Every model."""

    @property
    def exact(self) -> bool:
        """Whether `log_likelihood` is log p(x). Where it is not, the model is a `BoundedModel`."""
        ...

    @property
    def conditional(self) -> bool:
        """Whether the density may be p(x | c): what takes or gives x then takes `context` as well, see `given`."""
        ...

    @property
    def has_posterior(self) -> bool:
        """Whether the model is a `LatentVariableModel`."""
        ...

    @property
    def refinable(self) -> bool:
        """Whether `importance_estimate` has the proposal 'refined'."""
        ...

    @property
    def is_onto(self) -> bool:
        """Whether `sample` works."""
        ...

    @property
    def warning(self) -> str:
        """One sentence that a user should read before training, or nothing."""
        ...

    def init(self, rngs: Any, *args: Any, method: str) -> Any:
        """The variables, from the arguments of `objective` with preprocessed training rows as x."""
        ...

    def apply(self, variables: Any, *args: Any, method: str, mutable: Any = False) -> Any:
        """A method's result; with `mutable`, also the collections of that name as the method leaves them."""
        ...

    def objective(self, x: jax.Array, keys: jax.Array, step: jax.Array) -> Terms:
        """Training: 'loss', which is minimised, and the terms to log, (B,) each; step () int32."""
        ...

    def log_likelihood(self, x: jax.Array, keys: jax.Array, num_samples: int) -> jax.Array:
        """log p(x), or a bound from `num_samples` draws, (B,)."""
        ...

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """n draws x ~ p(x), (n, D)."""
        ...

    def diagnostics(self, x: jax.Array) -> Terms:
        """Signs of trouble ahead: name -> () float32, {} where a model has none."""
        ...


class BoundedModel(Model, Protocol):
    """A model whose likelihood is bounded, not known."""

    def elbo(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """The bound from one draw, (B,)."""
        ...

    def importance_estimate(
        self, x: jax.Array, keys: jax.Array, num_samples: int, proposal: str
    ) -> Estimate:
        """`log_likelihood` and how far to trust it, (B,) each; proposal: 'posterior' or 'refined'."""
        ...


class LatentVariableModel(BoundedModel, Protocol):
    """A model with latents z, a posterior q(z | x) and a likelihood p(x | z)."""

    def posterior(self, x: jax.Array, keys: jax.Array) -> Any:
        """q(z | x), a pytree; one without leaves where it has no parameters of its own."""
        ...

    def log_weights(
        self, x: jax.Array, posterior: Any, keys: jax.Array, num_samples: int
    ) -> jax.Array:
        """log p(x, z) - log q(z | x) of `num_samples` draws from a posterior, (num_samples, B)."""
        ...

    def reconstruct(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """E[x | z], (B, D), at one draw z ~ q(z | x)."""
        ...

    def reconstruct_trace(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        """E[x | z] before and after each step that refines q, (T + 1, B, D)."""
        ...

    def sample_prior(self, key: jax.Array, n: int) -> jax.Array:
        """n draws z ~ p(z), leading axis n."""
        ...

    def decode_mean(self, z: jax.Array) -> jax.Array:
        """E[x | z], (n, D)."""
        ...

    def sample_mean(self, key: jax.Array, n: int) -> jax.Array:
        """E[x | z], (n, D), for the z that `sample` draws from the same key."""
        ...
