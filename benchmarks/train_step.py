"""Speed of the MLP flow's training beside the published JAX code's, and of every model's training step.

    python -m benchmarks.train_step [--part=updates|epoch] [--rounds=5]
    python -m benchmarks.zoo_steps

D = 784, two layers. `updates`: steps per second of the program of `configs/mnist_published.py`, its rows gathered
from bytes and dequantised in every step, against `benchmarks.baselines.flow`, whose rows are in the model's space
already. Beside them what ours cannot do without: the six products of a step and Adam alone. `epoch`: a whole epoch of
50,000 rows with what follows it, here validation, diagnostics, metrics, events and a checkpoint, there validation and
the parameters' files. The images are random.
"""

import argparse
import pathlib
import tempfile

import jax
import ml_collections
import numpy as np
import optax
from etils import epath

from benchmarks.baselines import flow
from benchmarks.tools import figures, timing
from benchmarks.trainer_overhead import images
from configs import mnist_published
from train.data.base import Data
from train.runtime.checkpoint import Checkpoints
from train.runtime.interruption import Interruption
from train.step.stopping import Stopping
from train.training import experiment as experiments
from train.training import loop
from train.training.session import RunSession

NAME = 'train_step'
ALONE = 'products and Adam alone'
D = 784
STEPS_PER_CALL = {10: 500, 100: 50}
STEPS = {10: 1000, 100: 200}
FASTER_STEPS = {10: 1.5, 100: 1.2}
FASTER_EPOCH = 2.0


def random_data(experiment, train, validation):
    """Data of so many rows each without a dataset."""
    sources = {'train': images(train), 'validation': images(validation)}
    return Data(experiment.description, sources.__getitem__, 'random')


def experiment_of(batch_size, **overrides):
    """The experiment of `configs/mnist_published.py` at a batch size."""
    config = mnist_published.get_config()
    config.update(batch_size=batch_size, steps_per_call=STEPS_PER_CALL[batch_size], **overrides)
    return experiments.create(ml_collections.FrozenConfigDict(config))


def in_model_space(experiment, state, source):
    """All rows of a source as the published loop holds them, (N, D) float32."""
    rows = np.arange(len(source), dtype=np.int32)
    keys = jax.random.split(jax.random.key(0), len(rows))

    @jax.jit
    def encode(raw):
        t = state.preprocessing.encode(raw, keys, True)
        return state.preprocessing.forward_and_log_det(t)[0]

    return np.asarray(encode(source.gather(rows)))


def products_and_adam(batch_size, steps):
    """A side of so many steps of nothing but what our step of two layers cannot do without.

    Its six products are the layers' values, those that go back through both matrices, and the matrices' gradients.
    """
    optimizer = optax.adam(1e-3)
    keys = jax.random.split(jax.random.key(0), 3)
    W = [jax.random.normal(key, (D, D)) / D**0.5 for key in keys[:2]]
    x = jax.random.normal(keys[2], (batch_size, D))

    def step(kept, _):
        (first, second), moments = kept
        z = x @ first
        y = z @ second
        to_z = y @ second.T
        to_x = to_z @ first.T
        updates, moments = optimizer.update([to_x.T @ to_z, z.T @ y], moments)
        return (optax.apply_updates([first, second], updates), moments), None

    call = jax.jit(lambda kept: jax.lax.scan(step, kept, length=steps)[0])
    return lambda: jax.block_until_ready(call((W, optimizer.init(W))))


def update_sides(batch_size):
    """Sides that make so many updates: ours, the published, and the products of ours with Adam alone."""
    steps = STEPS[batch_size]
    experiment, source = experiment_of(batch_size), images(steps * batch_size)
    state = experiments.fresh_state(experiment, source)
    rows = in_model_space(experiment, state, source)
    published = flow.Training(rows, None, batch_size=batch_size)
    call, kept = experiment.train_call(), experiment.layout.place(state)

    def ours():
        nonlocal kept
        for batch, indices in experiment.chunks(source, 0):
            kept, _ = call(kept, batch, indices)
        jax.block_until_ready(kept)

    alone = products_and_adam(batch_size, steps)
    return {'published': published.epoch, 'this project': ours, ALONE: alone}


class Epoch:
    """A whole epoch of the trainer, from a fresh state in a fresh folder, compiled once."""

    def __init__(self, experiment, data, interruption):
        self._experiment, self._data, self._interruption = experiment, data, interruption
        state = experiments.fresh_state(experiment, data.source('train'))
        self.state = jax.device_get(state)
        self._call = experiment.train_call()

    def __call__(self):
        with tempfile.TemporaryDirectory() as folder:
            workdir = epath.Path(folder)
            with Checkpoints(workdir) as saved:
                training = loop.Run(
                    self._experiment, self._data, saved, workdir, self._interruption
                )
                training.call = self._call
                state = self._experiment.layout.place(self.state)
                training.run(RunSession(state=state, stopping=Stopping(30)))
                saved.wait()


def epoch_sides(batch_size, sizes, interruption):
    """Sides that train and validate one epoch: ours and the published."""
    experiment = experiment_of(batch_size, epochs=1)
    data = random_data(experiment, *sizes)
    ours = Epoch(experiment, data, interruption)
    train, validation = (
        in_model_space(experiment, ours.state, data.source(split))
        for split in ('train', 'validation')
    )
    published = flow.Training(train, validation, batch_size=batch_size)

    def of_published():
        published.epoch()
        with tempfile.TemporaryDirectory() as folder:
            published.close_epoch(pathlib.Path(folder))

    return {'published': of_published, 'this project': ours}


def updates(rounds):
    """(figures, requirements): steps per second at each batch size."""
    found, required = {}, []
    for batch_size, bound in FASTER_STEPS.items():
        seconds = timing.by_turns(update_sides(batch_size), rounds)
        steps = STEPS[batch_size]
        found[batch_size] = {n: timing.summary(1 / v, steps) for n, v in seconds.items()}
        ratio = np.median(seconds['published'] / seconds['this project'])
        what = f'steps per second, this project / published, batch {batch_size}'
        required.append(timing.requirement(what, ratio, at_least=bound))
    return found, required


def epochs(rounds, batch_sizes, sizes):
    """(figures, requirements): seconds of an epoch at each batch size."""
    found, required = {}, []
    with Interruption() as interruption:
        for batch_size in batch_sizes:
            seconds = timing.by_turns(epoch_sides(batch_size, sizes, interruption), rounds)
            found[batch_size] = {n: timing.summary(v) for n, v in seconds.items()}
            ratio = np.median(seconds['published'] / seconds['this project'])
            what = f'time of an epoch, published / this project, batch {batch_size}'
            required.append(timing.requirement(what, ratio, at_least=FASTER_EPOCH))
    return found, required


def table(found, unit):
    """The figures of one part."""
    names = list(next(iter(found.values())))
    rows = [[batch, *(figures.interval(sides[n]) for n in names)] for batch, sides in found.items()]
    return figures.table([f'batch ({unit}, median and quartiles)', *names], rows)


def main():
    """Measure one part, print and record it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--part', choices=('updates', 'epoch'), default='updates')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batches', default='10,100', help='of part epoch')
    parser.add_argument(
        '--rows', default='50000,10000', help='training and validation, of part epoch'
    )
    options = parser.parse_args()
    if options.part == 'updates':
        unit, (found, required) = 'steps per second', updates(options.rounds)
    else:
        batch_sizes, sizes = (
            [int(size) for size in text.split(',')] for text in (options.batches, options.rows)
        )
        unit, (found, required) = 'seconds per epoch', epochs(options.rounds, batch_sizes, sizes)
    name = f'{NAME}_{options.part}'
    command = f'python -m benchmarks.{NAME} --part={options.part}'
    timing.record(name, command, {unit.replace(' ', '_'): found, 'required': required})
    figures.write_tables(name, table(found, unit), figures.requirements_table(required))


if __name__ == '__main__':
    main()
