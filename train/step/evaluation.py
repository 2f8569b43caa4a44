"""Likelihoods of a whole split: every example exactly once, one number per example."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from flows.keys import fold_in
from flows.model import Terms
from train.contract import Model, Variables, given
from train.data import batches
from train.data.batches import Source
from train.diagnostics.inference_gaps import inference_gaps
from train.step import parallel as on
from train.step.parallel import Layout
from train.step.per_example import PerExample, Values
from train.step.randomness import MODEL, example_keys
from train.step.state import TrainState
from train.step.step import preprocess

# The place of a split in the keys of its evaluation noise.
SPLITS = {'train': 0, 'validation': 1, 'test': 2}


class Evaluator:
    """Evaluates splits with one compiled program for each quantity, for the seed of a run or all seeds of a study.

    Values have the shape (N,), in a study (seeds, N). Noise is the same for each seed.

    model: a model of the zoo; seed: of the evaluation noise; batch_size: rows per call over all devices; layout: of the
    states on the devices.
    """

    def __init__(self, model: Model, seed: int, batch_size: int, layout: Layout) -> None:
        self._model = model
        self._seed = seed
        self._layout = layout
        num_devices = layout.shares.num_devices
        self._batch_size = -(-batch_size // num_devices) * num_devices
        self._calls: dict = {}

    def log_likelihood(
        self,
        state: TrainState,
        source: Source,
        split: str,
        num_samples: int,
        importance: str = 'posterior',
        over_classes: bool = False,
    ) -> Values:
        """'log_likelihood', 'log_det', in nats: model space, and the preprocessing's log-determinant.

        What else there is, see the function `log_likelihood`. over_classes: also 'marginal_over_classes', see the
        function of that name; for one-hot contexts.
        """
        function = self._likelihood(num_samples, importance, over_classes)
        name = ('log_likelihood', num_samples, importance, over_classes)
        return self._evaluate(name, function, state, source, split)

    def validation(self, state: TrainState, source: Source, split: str, num_samples: int) -> Values:
        """The same with the quantity that stops training: the ELBO (over `num_samples` draws) unless it is exact."""
        if self._model.exact:
            return self.log_likelihood(state, source, split, num_samples)
        function = self._bound(num_samples)
        return self._evaluate(('elbo', num_samples), function, state, source, split)

    def lower_validation(
        self, state: TrainState, row: jax.ShapeDtypeStruct, size: int, num_samples: int
    ) -> jax.stages.Lowered:
        """The program of `validation` for shapes alone.

        state: as placed; row: of one row as stored; size: of the split.
        """
        exact = self._model.exact
        function = self._likelihood(num_samples) if exact else self._bound(num_samples)
        indices, mask = (part[0] for part in self._batches(size))
        rows = jax.ShapeDtypeStruct((*indices.shape, *row.shape), row.dtype)
        which = _on_each(indices, 'validation')
        return self._compile(function).lower(
            state, rows, *jax.eval_shape(lambda: (indices, mask, which))
        )

    def _likelihood(
        self, num_samples: int, importance: str = 'posterior', over_classes: bool = False
    ) -> Callable:
        def function(variables: Variables, x: Array, keys: Array, context: Array | None) -> Terms:
            arguments = (self._model, variables, x, keys, num_samples, importance)
            values = log_likelihood(*arguments, context)
            if over_classes and context is not None:
                number = context.shape[1]
                values['marginal_over_classes'] = marginal_over_classes(*arguments, number)
            return values

        return function

    def _bound(self, num_samples: int) -> Callable:
        def function(variables: Variables, x: Array, keys: Array, context: Array | None) -> Terms:
            def one(sample: Array) -> Array:
                arguments = (variables, x, fold_in(keys, sample))
                return self._model.apply(*arguments, **given(context), method='elbo')

            return {'log_likelihood': jax.lax.map(one, np.arange(num_samples)).mean(axis=0)}

        return function

    def gaps(self, state: TrainState, source: Source, split: str, num_samples: int) -> Values:
        """The bound, that of the best posterior, and log p(x), in nats; see `inference_gaps`."""

        def function(variables: Variables, x: Array, keys: Array, context: Array | None) -> Terms:
            del context  # no model with a posterior has one
            return inference_gaps(self._model, variables, x, keys, num_samples)

        return self._evaluate(('gaps', num_samples), function, state, source, split)

    def diagnostics(self, state: TrainState, source: Source) -> dict[str, float]:
        """What a model tells of its own conditioning on up to 1,000 rows, {} for most models; of a run, not a study."""
        if 'diagnostics' not in self._calls:
            self._calls['diagnostics'] = jax.jit(self._diagnose)
        rows = np.arange(min(1000, len(source)), dtype=np.int32)
        values = self._calls['diagnostics'](on.evaluated(state), source.gather(rows), rows)
        return {name: float(value) for name, value in values.items()}

    def _diagnose(self, state: TrainState, raw: Array, rows: Array) -> dict:
        keys = example_keys(self._seed, 'eval_noise', SPLITS['validation'], rows)
        x, _, _ = preprocess(state.preprocessing, raw, keys, training=False)
        with jax.default_matmul_precision('highest'):
            return self._model.apply(state.variables, x, method='diagnostics')

    def _evaluate(
        self, name: tuple, function: Callable, state: TrainState, source: Source, split: str
    ) -> Values:
        """Per-example values over a split, in its order, the same on every process."""
        if name not in self._calls:
            self._calls[name] = self._compile(function)
        call = self._calls[name]
        parts = []
        for indices, mask in zip(*self._batches(len(source)), strict=True):
            raw = source.gather(indices.reshape(-1)).reshape(*indices.shape, -1)
            part = call(state, raw, indices, mask, _on_each(indices, split))
            kept = np.atleast_2d(part.pop('mask'))[0]  # the same for all seeds
            parts.append({key: value[..., kept] for key, value in part.items()})
        values = {key: np.concatenate([part[key] for part in parts], axis=-1) for key in parts[0]}
        index, rows = values.pop('index'), np.arange(len(source))
        if index.shape[-1] != len(rows) or (index != rows).any():
            raise AssertionError(
                f'every one of the {len(source)} examples of {split} must be evaluated once, in order; '
                f'found {index.shape[-1]} values.'
            )
        return values

    def _batches(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        # No larger than the split needs.
        shares = self._layout.shares
        whole = -(-size // shares.num_devices) * shares.num_devices
        return batches.evaluation_batches(size, min(self._batch_size, whole), shares)

    def _compile(self, function: Callable) -> PerExample:
        """One program for all splits, which of SPLITS a batch is of being an argument."""

        def per_example(
            state: TrainState, raw: Array, indices: Array, mask: Array, split: Array
        ) -> dict[str, Array]:
            keys = example_keys(self._seed, 'eval_noise', split, indices)
            x, log_det, context = preprocess(state.preprocessing, raw, keys, training=False)
            with jax.default_matmul_precision('highest'):
                values = function(state.variables, x, fold_in(keys, MODEL), context)
            return {**values, 'log_det': log_det, 'index': indices, 'mask': mask}

        return self._layout.per_example_call(per_example)


def _on_each(indices: np.ndarray, split: str) -> np.ndarray:
    """Which of SPLITS it is, for each device of a batch's indices (devices, B / devices)."""
    return np.full(len(indices), SPLITS[split], np.uint32)


def log_likelihood(
    model: Model,
    variables: Variables,
    x: Array,
    keys: Array,
    num_samples: int,
    importance: str,
    context: Array | None = None,
) -> Terms:
    """{'log_likelihood': (B,)} of x (B, D), given the context (B, C) if there is one; nats in model space.

    Where importance sampling gives it, with `importance` the name of the proposal, 'effective_sample_size',
    'standard_error' and, from 10 samples on, 'log_likelihood_at_tenth' as well, (B,); see `flows.importance`.
    """
    arguments, c = (variables, x, keys, num_samples), given(context)
    if model.exact:
        return {'log_likelihood': model.apply(*arguments, **c, method='log_likelihood')}
    estimate = model.apply(*arguments, importance, **c, method='importance_estimate')
    return {name: value for name, value in vars(estimate).items() if value is not None}


def marginal_over_classes(
    model: Model,
    variables: Variables,
    x: Array,
    keys: Array,
    num_samples: int,
    importance: str,
    number: int,
) -> Array:
    """log sum_c p(x | c) / C over the C = `number` classes, equally probable, as the field reports it; (B,), nats."""

    def of_class(c: Array) -> Array:
        context = jnp.broadcast_to(c[None], (len(x), number))
        values = log_likelihood(model, variables, x, keys, num_samples, importance, context)
        return values['log_likelihood']

    given_each = jax.lax.map(of_class, jnp.eye(number))
    return jax.nn.logsumexp(given_each, axis=0) - jnp.log(number)
