"""One training step, as a pure function of the state and a batch.

The step differentiates the loss and never returns its value: for models whose gradient is cheaper than their likelihood
(the relative gradient) the compiler then drops what only the value needs.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flows.keys import fold_in
from flows.model import Terms
from train.contract import Model, given
from train.data.preprocessing import Preprocessing
from train.step.exchange import WHOLE, Exchange
from train.step.mapping import AXIS
from train.step.randomness import ENCODE, MODEL, example_keys
from train.step.state import TrainState

Metrics = dict[str, tuple[jax.Array, jax.Array]]  # name -> (sum, count)
Step = Callable[[TrainState, jax.Array, jax.Array], tuple[TrainState, Metrics]]


def preprocess(
    preprocessing: Preprocessing, raw: jax.Array | np.ndarray, keys: jax.Array, *, training: bool
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Rows as stored -> the model's input x (B, D), log-determinant (B,), float32, and context (B, C) or None."""
    t = preprocessing.encode(raw, fold_in(keys, ENCODE), training)
    with jax.default_matmul_precision('highest'):
        x, log_det = preprocessing.forward_and_log_det(t)
    return x, log_det, preprocessing.context_of(raw)


def gradient_and_terms(
    model: Model, state: TrainState, batch: jax.Array, indices: jax.Array
) -> tuple[Any, Terms, dict[str, Any]]:
    """This device's gradient, its named terms (B,) each, and the new model state."""
    keys = example_keys(state.seed, 'noise', state.step, indices)
    x, _, context = preprocess(state.preprocessing, batch, keys, training=True)

    def mean_loss(params: Any) -> tuple[jax.Array, tuple[Terms, dict[str, Any]]]:
        terms, model_state = model.apply(
            {'params': params, **state.model_state},
            x,
            fold_in(keys, MODEL),
            state.step,
            **given(context),
            method='objective',
            mutable=list(state.model_state),
        )
        loss = terms.pop('loss')
        return loss.mean(), (terms, model_state)

    gradient, (terms, model_state) = jax.grad(mean_loss, has_aux=True)(state.params)
    return gradient, terms, model_state


def make_step(
    model: Model,
    optimizer: optax.GradientTransformation,
    *,
    ema: float = 0.0,
    matmul_precision: str = 'highest',
    exchange: Exchange = WHOLE,
) -> Step:
    """Return `step(state, batch, indices) -> (state, metrics)`; axis `batch` has to be bound around it.

    batch: (B, ...) rows in the stored dtype; indices: (B,) int32, their rows in the split.
    metrics: name -> (sum, count), summed over the axis; nothing is counted once a number was not finite, and from that
    step on the state does not move.
    exchange: whether every device has all of the optimiser's state and of the average.
    """

    def step(state: TrainState, batch: jax.Array, indices: jax.Array) -> tuple[TrainState, Metrics]:
        with jax.default_matmul_precision(matmul_precision):
            gradient, terms, model_state = gradient_and_terms(model, state, batch, indices)
        gradient = exchange.mean(gradient)
        sums = jax.lax.psum({name: term.sum() for name, term in terms.items()}, AXIS)
        # Known without asking: the size of the axis. What is asked for leaves in one all-reduce, into which the
        # compiler puts the gradient and the sums together.
        count = jnp.float32(len(batch) * jax.lax.psum(1, AXIS))
        norm, norm_of_all = exchange.norms(gradient)
        finite = jnp.isfinite(norm_of_all)
        for value in sums.values():
            finite &= jnp.isfinite(value)
        ok = finite & (state.bad_step < 0) & ~state.frozen

        def update(state: TrainState) -> TrainState:
            params, kept = exchange.own(state.params), exchange.opened(state.opt_state)
            updates, opt_state = optimizer.update(gradient, kept, params)
            updates = optax.tree.scale(state.lr_scale, updates)
            params = optax.apply_updates(params, updates)
            average = state.average
            if ema:
                old = exchange.opened(average)
                new = optax.incremental_update(params, old, 1 - ema)
                average = exchange.closed(new, average)
            return state.replace(
                params=exchange.whole(params, state.params),
                opt_state=exchange.closed(opt_state, state.opt_state),
                model_state=model_state,
                average=average,
            )

        fitted = state.preprocessing
        state = state.replace(preprocessing=None)
        state = jax.lax.cond(ok, update, lambda state: state, state)
        first_bad = ~finite & (state.bad_step < 0) & ~state.frozen
        state = state.replace(
            step=state.step + 1,
            bad_step=jnp.where(first_bad, state.step, state.bad_step),
            preprocessing=fitted,
        )
        return state, _counted(ok, sums, count, norm)

    return step


def _counted(ok: jax.Array, sums: Terms, count: jax.Array, norm: jax.Array) -> Metrics:
    """Metrics as (sum, count), zero where the step was not taken."""
    metrics = {name: (value, count) for name, value in sums.items()}
    metrics['gradient_norm'] = (norm, jnp.float32(1))
    return jax.tree.map(lambda value: jnp.where(ok, value, 0), metrics)
