"""The training state: one pytree that holds everything a step reads and changes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from train.contract import Model, given
from train.step.randomness import purpose_key


class TrainState(struct.PyTreeNode):
    """A value; each step returns a new one.

    step: () int32, micro-steps taken. One scalar also where the other fields carry a leading axis of seeds.
    seed: () uint32, seed of the training noise.
    bad_step: () int32, the first step with a non-finite term or gradient, -1 while there is none.
    frozen: () bool, whether the state stays as it is (a seed of a study that has stopped).
    lr_scale: () float32, what every update is multiplied by; below one after a rollback.
    params, model_state, opt_state: pytrees; model_state holds the model's mutable collections.
    average: exponential moving average of params, or None.
    preprocessing: the fitted preprocessing, constant through training.
    """

    step: jax.Array
    seed: jax.Array
    bad_step: jax.Array
    frozen: jax.Array
    lr_scale: jax.Array
    params: Any
    model_state: Any
    opt_state: Any
    average: Any = None
    preprocessing: Any = None

    @property
    def variables(self) -> dict[str, Any]:
        """What evaluation gives to the model: averaged parameters where there are any."""
        params = self.params if self.average is None else self.average
        return {'params': params, **self.model_state}

    def divided(self) -> tuple['TrainState', dict[str, Any]]:
        """What each seed of a study has of its own, and by name what all of them share; `replace` joins the two."""
        shared = {'step': self.step, 'preprocessing': self.preprocessing}
        return self.replace(**dict.fromkeys(shared)), shared


def make_init(
    model: Model, optimizer: optax.GradientTransformation, *, ema: float = 0.0
) -> Callable[..., TrainState]:
    """Return `init(seed, examples, context=None) -> TrainState`.

    seed: () integer. examples: (N, D) float32, preprocessed training rows, from which layers with a data-dependent
    start take it; context: (N, C), of these rows, for a model of p(x | c). The preprocessing itself is attached by the
    caller.
    """

    def init(
        seed: jax.typing.ArrayLike, examples: jax.Array, context: jax.Array | None = None
    ) -> TrainState:
        step = jnp.int32(0)
        keys = jax.random.split(jax.random.fold_in(purpose_key(seed, 'init'), 1), len(examples))
        rngs = {'params': purpose_key(seed, 'init')}
        with jax.default_matmul_precision('highest'):
            variables = model.init(rngs, examples, keys, step, **given(context), method='objective')
        model_state = dict(variables)
        params = model_state.pop('params')
        return TrainState(
            step=step,
            seed=jnp.asarray(seed, jnp.uint32),
            bad_step=jnp.int32(-1),
            frozen=jnp.bool_(False),
            lr_scale=jnp.float32(1),
            params=params,
            model_state=model_state,
            opt_state=optimizer.init(params),
            average=params if ema else None,
        )

    return init
