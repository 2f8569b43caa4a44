"""What a study is made of: its seeds, dealt out among the devices, and their first states."""

import dataclasses

import jax
import numpy as np
from ml_collections import FrozenConfigDict as Config

from train.data.batches import Source
from train.data.preprocessing import Preprocessing
from train.errors import UserError
from train.step import parallel as on
from train.step.mapping import MAPPINGS
from train.step.randomness import Seeds
from train.step.state import TrainState
from train.studies.session import resized
from train.training import experiment as experiments


def all_seeds(config: Config) -> list[Seeds]:
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


def check_fields(config: Config) -> None:
    """Refuse fields that have a meaning for single runs only."""
    only = {
        **{'init_from': '', 'eval_every': 1, 'on_nan': 'raise', 'final_split': 'test'},
        'shard_optimizer': False,
    }
    for field, kept in only.items():
        if getattr(config, field) != kept:
            raise UserError(
                f'config.{field} has no meaning in a study and must be {kept!r} there; '
                f'found {getattr(config, field)!r}.'
            )


def seed_axis(config: Config, devices: on.Devices) -> str:
    """How the seeds of a device run: by `lax.map` on a CPU, where it measured faster, by vmap elsewhere."""
    if config.seed_axis != 'auto':
        return config.seed_axis
    return 'map' if devices[0].platform == 'cpu' else 'vmap'


def create(config: Config) -> experiments.Experiment:
    """The experiment of a study."""
    return experiments.create(config, lay_out=lay_out)


def lay_out(config: Config, devices: on.Devices) -> on.ManySeeds:
    """All seeds with the last one repeated up to a multiple of the devices."""
    seeds = all_seeds(config)
    whole = resized(seeds, len(seeds) + -len(seeds) % len(devices))
    axis, mapping = seed_axis(config, devices), MAPPINGS[config.parallel]
    return on.ManySeeds(devices, tuple(whole), axis, mapping)


def first_states(experiment: experiments.Experiment, source: Source) -> TrainState:
    """The states of all seeds before their first step, on the host, leading axis (seeds,) but for what they share."""
    preprocessing = Preprocessing.fit(experiment.config, experiment.description, source)
    init = experiments.initialiser(experiment)
    states = [jax.device_get(init(source, preprocessing, each)) for each in experiment.layout.seeds]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    return stacked.replace(step=states[0].step, preprocessing=jax.device_get(preprocessing))


def template(experiment: experiments.Experiment, num_seeds: int) -> TrainState:
    """The shapes and dtypes of `first_states`, without touching the data."""
    own, shared = experiment.template().divided()

    def stacked(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((num_seeds, *leaf.shape), leaf.dtype)

    return jax.tree.map(stacked, own).replace(**shared)


def resized_trees(state: TrainState, best: dict, count: int) -> tuple[TrainState, dict]:
    """A host state and the best variables for `count` seeds, see `resized`."""
    own, shared = state.divided()
    own, best = jax.tree.map(lambda leaf: resized(leaf, count), (own, best))
    return own.replace(**shared), best
