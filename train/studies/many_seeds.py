"""What a study is made of: its seeds, their batches, their first states, and one evaluation of all of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from flows.keys import fold_in
from train import experiment as experiments
from train.data import batches
from train.data.preprocessing import Preprocessing
from train.errors import UserError
from train.step import parallel as on
from train.step.evaluation import SPLITS, log_likelihood
from train.step.randomness import MODEL, Seeds, example_keys
from train.step.step import make_step, preprocess
from train.studies.session import resized


def all_seeds(config):
    """The `Seeds` of each run of a study: config.seed + i for what `config.vary` names, config.seed's for the rest."""
    varied = [name for name in config.vary.split(',') if name]
    for name in varied:
        if config[f'seed_{name}'] != -1:
            raise UserError(
                f'config.vary must not name what has a seed of its own; found vary={config.vary} and '
                f'seed_{name}={config[f"seed_{name}"]}: set config.seed, from which the varied seeds count on.'
            )
    if varied and config.seed + config.num_seeds > 2**32:
        raise UserError(
            f'config.seed + config.num_seeds must be at most 2**32; found {config.seed} + {config.num_seeds}.'
        )
    base = Seeds.of(config)
    return [
        dataclasses.replace(base, **{name: config.seed + i for name in varied})
        for i in range(config.num_seeds)
    ]


def check_fields(config):
    """Refuse fields that have a meaning for single runs only."""
    only = {'init_from': '', 'eval_every': 1, 'on_nan': 'raise', 'final_split': 'test'}
    for field, kept in only.items():
        if getattr(config, field) != kept:
            raise UserError(
                f'config.{field} has no meaning in a study and must be {kept!r} there; '
                f'found {getattr(config, field)!r}.'
            )


def padded(seeds, num_devices):
    """The seeds with the last one repeated up to a multiple of the devices."""
    return resized(seeds, len(seeds) + -len(seeds) % num_devices)


def seed_axis(config, devices):
    """How the seeds of a device run: by `lax.map` on a CPU, where it measured faster, by vmap elsewhere."""
    if config.seed_axis != 'auto':
        return config.seed_axis
    return 'map' if devices[0].platform == 'cpu' else 'vmap'


def training_call(experiment):
    """A chunk of training steps of all seeds, see `train.step.parallel.study_call`."""
    config = experiment.config
    step = make_step(
        experiment.model,
        experiment.optimizer,
        ema=config.ema,
        matmul_precision=config.matmul_precision,
    )
    return on.study_call(step, experiment.devices, seed_axis(config, experiment.devices))


def first_states(experiment, source, seeds):
    """The states of all seeds before their first step, on the host, leading axis (seeds,) but for what they share."""
    preprocessing = Preprocessing.fit(experiment.config, experiment.description, source)
    init = experiments.initialiser(experiment)
    states = [jax.device_get(init(source, preprocessing, each)) for each in seeds]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    return stacked.replace(step=states[0].step, preprocessing=jax.device_get(preprocessing))


def template(experiment, num_seeds):
    """The shapes and dtypes of `first_states`, without touching the data."""
    state = experiment.template()

    def stacked(leaf):
        return jax.ShapeDtypeStruct((num_seeds, *leaf.shape), leaf.dtype)

    whole = jax.tree.map(stacked, state.replace(preprocessing=None))
    return whole.replace(step=state.step, preprocessing=state.preprocessing)


def resized_trees(state, best, count):
    """A host state and the best variables for `count` seeds, see `resized`."""
    shared = {'step': state.step, 'preprocessing': state.preprocessing}
    own = {'state': state.replace(step=None, preprocessing=None), 'best': best}
    found = jax.tree.map(lambda leaf: resized(leaf, count), own)
    return found['state'].replace(**shared), found['best']


def spread(state, devices):
    """A host state of all seeds on the devices: seeds are dealt out, what they share goes to each."""
    shared = on.replicate({'step': state.step, 'preprocessing': state.preprocessing}, devices)
    own = state.replace(step=None, preprocessing=None)
    count = len(devices)
    dealt = jax.tree.map(lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:]), own)
    return on.place(dealt, devices).replace(**shared)


def gather(state):
    """The inverse of `spread`: a state of all seeds on the host."""
    own = jax.device_get(state.replace(step=None, preprocessing=None))
    shared = on.unreplicate({'step': state.step, 'preprocessing': state.preprocessing})
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), own)
    return flat.replace(**shared)


def chunks(config, source, seeds, start_step, num_devices):
    """Batches of all seeds from a step to the end of its epoch, each in its own order.

    Yields (rows (steps, devices, seeds / devices, B, D), indices (steps, devices, seeds / devices, B)).
    """
    per_epoch = batches.steps_per_epoch(len(source), config.batch_size)
    epoch, position = divmod(start_step, per_epoch)
    used = per_epoch * config.batch_size
    orders = np.stack(
        [
            batches.order(len(source), each.order, epoch)[:used].reshape(per_epoch, -1)
            for each in seeds
        ],
        axis=1,
    )
    for first, last in batches.chunk_spans(per_epoch, config.steps_per_call, position):
        indices = orders[first:last].reshape(last - first, num_devices, -1, config.batch_size)
        yield source.gather(indices.reshape(-1)).reshape(*indices.shape, -1), indices


class StudyEvaluator:
    """Per-example values of a split for all seeds; the noise is the same for each."""

    def __init__(self, experiment):
        self._experiment = experiment
        self._calls = {}

    def __call__(self, state, source, split, quantity, num_samples):
        """{'log_likelihood', 'log_det'}, (seeds, N) each, in nats, of a split under a spread state.

        quantity: 'log_likelihood', see `train.step.evaluation.log_likelihood` for what else it gives, or 'elbo'.
        """
        key = (split, quantity, num_samples)
        if key not in self._calls:
            function = self._function(split, quantity, num_samples)
            self._calls[key] = on.study_per_example_call(function, self._experiment.devices)
        size = len(source)
        group = min(self._experiment.config.eval_batch_size, size)
        parts = []
        for start in range(0, size, group):
            rows = np.arange(start, start + group, dtype=np.int32)
            kept = min(group, size - start)
            rows = np.where(rows < size, rows, 0).astype(np.int32)
            values = jax.device_get(self._calls[key](state, source.gather(rows), rows))
            parts.append(jax.tree.map(lambda v, n=kept: v.reshape(-1, group)[:, :n], values))
        return {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}

    def _function(self, split, quantity, num_samples):
        model = self._experiment.model
        seed = self._experiment.seeds.data
        importance = self._experiment.config.importance

        def values(state, raw, indices):
            keys = example_keys(seed, 'eval_noise', SPLITS[split], indices)
            x, log_det = preprocess(state.preprocessing, raw, keys, training=False)
            keys = fold_in(keys, MODEL)
            with jax.default_matmul_precision('highest'):
                if quantity == 'elbo':
                    draws = jax.lax.map(
                        lambda i: model.apply(state.variables, x, fold_in(keys, i), method='elbo'),
                        jnp.arange(num_samples),
                    )
                    found = {'log_likelihood': draws.mean(axis=0)}
                else:
                    found = log_likelihood(model, state.variables, x, keys, num_samples, importance)
            return {**found, 'log_det': log_det}

        return values
