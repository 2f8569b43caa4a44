"""The programs that a run executes, lowered for devices that need not be here."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import FrozenConfigDict as Config

from train import data as datasets
from train.data import batches
from train.errors import UserError
from train.step import parallel as on
from train.studies import many_seeds
from train.training import experiment as experiments


class Program(NamedTuple):
    """A lowered program, the training steps that it takes (0 for one that takes none) and the rows of a device."""

    name: str
    lowered: jax.stages.Lowered
    steps: int
    rows: int


def experiment_on(config: Config, devices: on.Devices) -> experiments.Experiment:
    """The experiment of a config, a run or a study, laid out on these devices; raises UserError."""
    if config.num_devices:
        raise UserError(
            f'--topology says how many devices there are, found config.num_devices={config.num_devices}; leave it out.'
        )

    def lay_out(config: Config, here: on.Devices) -> on.Layout:
        del here
        if config.num_seeds > 1:
            return many_seeds.lay_out(config, devices)
        return experiments.one_seed(config, devices)

    return experiments.create(config, lay_out=lay_out)


def programs(experiment: experiments.Experiment, *, validation: bool = True) -> Iterator[Program]:
    """The chunk of training steps and, unless not wanted, the call of the validation, lowered as they are asked for."""
    config, layout = experiment.config, experiment.layout
    state = layout.placed(experiment.template())
    row = stored_row(experiment.description)
    # The chunks of an epoch differ by one step at most, and the first is the longest.
    steps = batches.chunk_edges(experiment.steps_per_epoch, config.steps_per_call)[1]
    order = np.zeros((steps, len(layout.seeds), config.batch_size), np.int32)
    indices = jax.eval_shape(lambda: layout.deal(order))
    batch = jax.ShapeDtypeStruct((*indices.shape, *row.shape), row.dtype)
    lowered = experiment.train_call().lower(state, batch, indices)
    yield Program('training', lowered, steps, indices.shape[-1])
    if not validation:
        return
    size = experiment.description.split_sizes[1]
    lowered = experiment.evaluator.lower_validation(state, row, size, config.eval_samples)
    shared = min(config.eval_batch_size, size)
    yield Program('validation', lowered, 0, -(-shared // layout.shares.num_devices))


def stored_row(description: datasets.Description) -> jax.ShapeDtypeStruct:
    """Shape and dtype of a row as a dataset stores it: x, and behind it the class or the columns of the context."""
    behind = description.context
    if description.labelled:
        behind = 1
    elif description.table is not None:
        behind = len(description.table.context)
    dtype = jnp.float32 if description.levels is None else jnp.uint8
    return jax.ShapeDtypeStruct((description.num_features + behind,), dtype)
