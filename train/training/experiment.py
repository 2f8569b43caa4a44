"""What a config stands for: the data, the model, the optimiser and the functions made from them."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import logging
from ml_collections import FrozenConfigDict as Config

from train import config as defaults
from train import data as datasets
from train import models
from train.contract import Model
from train.data import batches
from train.data.batches import Source
from train.data.preprocessing import Preprocessing
from train.diagnostics import padding
from train.errors import UserError
from train.optim import optimizers
from train.step import parallel as on
from train.step.evaluation import Evaluator
from train.step.mapping import MAPPINGS, Program
from train.step.parallel import Layout, OneSeed
from train.step.randomness import Seeds, example_keys
from train.step.state import TrainState, make_init
from train.step.step import make_step, preprocess

LayOut = Callable[[Config, on.Devices], Layout]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The parts of a run that do not change while it trains; nothing is read from a dataset to make it."""

    config: Config
    description: datasets.Description
    model: Model
    optimizer: optax.GradientTransformation
    layout: Layout
    evaluator: Evaluator

    @property
    def seeds(self) -> Seeds:
        """The seeds of the config, by what they are for; of a study what its seeds do not vary."""
        return Seeds.of(self.config)

    @property
    def devices(self) -> on.Devices:
        """Those of this process that take part."""
        return self.layout.devices

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the training split."""
        return batches.steps_per_epoch(self.description.split_sizes[0], self.config.batch_size)

    def init(
        self, seed: jax.typing.ArrayLike, examples: jax.Array, context: jax.Array | None = None
    ) -> TrainState:
        """A fresh TrainState, see `train.step.state.make_init`."""
        return make_init(self.model, self.optimizer, ema=self.config.ema)(seed, examples, context)

    def train_call(self) -> Program:
        """A chunk of training steps on all devices, see `train.step.parallel.OneSeed.train_call`."""
        step = make_step(
            self.model,
            self.optimizer,
            ema=self.config.ema,
            matmul_precision=self.config.matmul_precision,
            exchange=self.layout.exchange,
        )
        return self.layout.train_call(step)

    def chunks(self, source: Source, start_step: int) -> batches.Chunks:
        """This process's chunks from a step to the end of its epoch, see `train.data.batches.chunks`."""
        orders = [seeds.order for seeds in self.layout.seeds]
        sizes = self.config.batch_size, self.config.steps_per_call
        return batches.chunks(source, orders, start_step, *sizes, self.layout.deal)

    def template(self) -> TrainState:
        """The shapes and dtypes of a TrainState, without touching the data."""
        seed = jax.ShapeDtypeStruct((), jnp.uint32)
        known = self.description
        examples = jax.ShapeDtypeStruct((2, known.num_features), jnp.float32)
        context = jax.ShapeDtypeStruct((2, known.context), jnp.float32) if known.context else None
        state = jax.eval_shape(self.init, seed, examples, context)
        return state.replace(preprocessing=Preprocessing.template(self.config, known))


def one_seed(config: Config, devices: on.Devices) -> Layout:
    """The layout of a single run on these devices; raises UserError."""
    if config.shard_optimizer and config.parallel != 'shard_map':
        raise UserError(
            'config.shard_optimizer=True works with config.parallel=shard_map, '
            f'found {config.parallel}: set that too.'
        )
    mapping = MAPPINGS[config.parallel]
    return OneSeed(devices, (Seeds.of(config),), mapping, divided=config.shard_optimizer)


def create(config: Config, *, lay_out: LayOut = one_seed) -> Experiment:
    """The experiment of a config; raises UserError where the config or the devices do not fit together.

    lay_out: what lies where, given the config and the devices, of a single run unless said otherwise.
    """
    defaults.check(config)
    description = datasets.describe(config)
    layout = lay_out(config, on.choose(config.num_devices))
    shares = layout.shares.num_devices
    batches.check_batch_size(config.batch_size, shares)
    per_epoch = batches.steps_per_epoch(description.split_sizes[0], config.batch_size)
    if (
        config.schedule != 'constant'
        and config.schedule_steps
        and config.epochs * per_epoch > config.schedule_steps + per_epoch
    ):
        logging.warning(
            'The learning rate is zero from step config.schedule_steps=%d on; %d epochs take %d steps.',
            config.schedule_steps,
            config.epochs,
            config.epochs * per_epoch,
        )
    if layout.devices[0].platform == 'tpu':
        for sentence in padding.tpu_waste(description.num_features, config.batch_size // shares):
            logging.warning(sentence)
    return _assemble(config, description, layout)


def for_use(config: Config, description: datasets.Description) -> Experiment:
    """The experiment of a trained run, for evaluating and sampling it on whatever devices there are here."""
    return _assemble(config, description, one_seed(config, jax.local_devices()))


def _assemble(config: Config, description: datasets.Description, layout: Layout) -> Experiment:
    Preprocessing.check(config, description)
    model = models.create(config, description)
    if model.warning:
        logging.warning(model.warning)
    return Experiment(
        config=config,
        description=description,
        model=model,
        optimizer=optimizers.create(config, description.split_sizes[0] // config.batch_size),
        layout=layout,
        evaluator=Evaluator(model, Seeds.of(config).data, config.eval_batch_size, layout),
    )


def fresh_state(experiment: Experiment, source: Source) -> TrainState:
    """The state before the first step, the same on every process: preprocessing and data-dependent layers are fitted.

    source: the training split.
    """
    preprocessing = Preprocessing.fit(experiment.config, experiment.description, source)
    state = initialiser(experiment)(source, preprocessing, experiment.seeds)
    return state.replace(preprocessing=preprocessing)


def initialiser(experiment: Experiment) -> Callable[[Source, Preprocessing, Seeds], TrainState]:
    """`init(source, preprocessing, seeds)`: a fresh state by `Seeds`, without the preprocessing, which stays apart.

    Compiled once for all seeds.
    """

    @jax.jit
    def from_rows(
        preprocessing: Preprocessing, raw: jax.Array, rows: jax.Array, seed: jax.Array
    ) -> TrainState:
        keys = example_keys(seed, 'init', 0, rows)
        examples, _, context = preprocess(preprocessing, raw, keys, training=True)
        return experiment.init(seed, examples, context)

    def init(source: Source, preprocessing: Preprocessing, seeds: Seeds) -> TrainState:
        rows = init_rows(seeds.init, len(source), experiment.config.init_examples)
        state = from_rows(preprocessing, source.gather(rows), rows, np.uint32(seeds.init))
        return state.replace(seed=jnp.uint32(seeds.noise))

    return init


def init_rows(seed: int, size: int, number: int) -> np.ndarray:
    """`number` rows of a split drawn without replacement by the seed, or all of them if there are fewer; sorted."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(0,))))
    return np.sort(generator.permutation(size)[:number]).astype(np.int32)
