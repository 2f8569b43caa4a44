"""What a config stands for: the data, the model, the optimiser and the functions made from them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from train import config as defaults
from train import data as datasets
from train import models
from train.data import batches
from train.data.preprocessing import Preprocessing
from train.diagnostics import padding
from train.optim import optimizers
from train.step import parallel as on
from train.step.evaluation import Evaluator
from train.step.randomness import Seeds, example_keys
from train.step.state import make_init
from train.step.step import make_step, preprocess


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The parts of a run that do not change while it trains; nothing is read from a dataset to make it."""

    config: Any
    description: datasets.Description
    model: Any
    optimizer: Any
    devices: Any
    evaluator: Evaluator

    @property
    def seeds(self):
        """The run's seeds, by what they are for."""
        return Seeds.of(self.config)

    @property
    def num_devices(self):
        """Devices over all processes."""
        return len(self.devices) * jax.process_count()

    @property
    def steps_per_epoch(self):
        """Full batches in the training split."""
        return batches.steps_per_epoch(self.description.split_sizes[0], self.config.batch_size)

    def init(self, seed, examples):
        """A fresh TrainState, see `train.step.state.make_init`."""
        return make_init(self.model, self.optimizer, ema=self.config.ema)(seed, examples)

    def train_call(self):
        """A chunk of training steps on all devices, see `train.step.parallel.train_call`."""
        step = make_step(
            self.model,
            self.optimizer,
            ema=self.config.ema,
            matmul_precision=self.config.matmul_precision,
        )
        return on.train_call(step, self.devices)

    def chunks(self, source, start_step):
        """This process's chunks from a step to the end of its epoch, see `train.data.batches.chunks`."""
        return batches.chunks(
            source,
            self.seeds.order,
            start_step,
            self.config.batch_size,
            self.config.steps_per_call,
            self.num_devices,
            jax.process_index(),
            jax.process_count(),
        )

    def template(self):
        """The shapes and dtypes of a TrainState, without touching the data."""
        seed = jax.ShapeDtypeStruct((), jnp.uint32)
        examples = jax.ShapeDtypeStruct((2, self.description.num_features), jnp.float32)
        state = jax.eval_shape(self.init, seed, examples)
        return state.replace(
            preprocessing=Preprocessing.template(self.config, self.description.shape)
        )


def create(config, *, splits_batch=True):
    """The experiment of a config; raises UserError where the config or the devices do not fit together.

    splits_batch: whether the devices divide a batch, as in training a single run. In a study they divide the seeds.
    """
    defaults.check(config)
    description = datasets.describe(config)
    devices = on.choose(config.num_devices)
    shares = len(devices) * jax.process_count() if splits_batch else 1
    batches.check_batch_size(config.batch_size, shares)
    per_epoch = batches.steps_per_epoch(description.split_sizes[0], config.batch_size)
    if (
        config.schedule != 'constant'
        and config.epochs * per_epoch > config.schedule_steps + per_epoch
    ):
        logging.warning(
            'The learning rate is zero from step config.schedule_steps=%d on; %d epochs take %d steps.',
            config.schedule_steps,
            config.epochs,
            config.epochs * per_epoch,
        )
    if devices[0].platform == 'tpu':
        for sentence in padding.tpu_waste(description.num_features, config.batch_size // shares):
            logging.warning(sentence)
    return _assemble(config, description, devices)


def for_use(config):
    """The experiment of a trained run's config, for evaluating and sampling it on whatever devices there are here."""
    return _assemble(config, datasets.describe(config), jax.local_devices())


def _assemble(config, description, devices):
    Preprocessing.template(config, description.shape)
    model = models.create(config, description)
    warning = getattr(model, 'warning', None)
    if warning:
        logging.warning(warning)
    return Experiment(
        config=config,
        description=description,
        model=model,
        optimizer=optimizers.create(config),
        devices=devices,
        evaluator=Evaluator(model, Seeds.of(config).data, config.eval_batch_size, devices),
    )


def fresh_state(experiment, source):
    """The state before the first step, the same on every process: preprocessing and data-dependent layers are fitted.

    source: the training split.
    """
    preprocessing = Preprocessing.fit(experiment.config, source)
    state = initialiser(experiment)(source, preprocessing, experiment.seeds)
    return state.replace(preprocessing=preprocessing)


def initialiser(experiment):
    """`init(source, preprocessing, seeds)`: a fresh state by `Seeds`, without the preprocessing, which stays apart.

    Compiled once for all seeds.
    """

    @jax.jit
    def from_rows(preprocessing, raw, rows, seed):
        keys = example_keys(seed, 'init', 0, rows)
        examples, _ = preprocess(preprocessing, raw, keys, training=True)
        return experiment.init(seed, examples)

    def init(source, preprocessing, seeds):
        rows = init_rows(seeds.init, len(source), experiment.config.init_examples)
        state = from_rows(preprocessing, source.gather(rows), rows, np.uint32(seeds.init))
        return state.replace(seed=jnp.uint32(seeds.noise))

    return init


def init_rows(seed, size, number):
    """`number` rows of a split drawn without replacement by the seed, or all of them if there are fewer; sorted."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(0,))))
    return np.sort(generator.permutation(size)[:number]).astype(np.int32)
