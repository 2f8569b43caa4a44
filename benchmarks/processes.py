"""What a step costs in several processes: 4 of 2 devices each beside one of 8, on one machine.

    taskset -c 1 python -m benchmarks.processes [--rounds=5] [--calls=10]

Forced host devices, the same global batch, the loopback, and all processes on the same cores: what is measured is the
overhead of several processes, not how they scale. Beside the step its parts alone: `exchange` averages arrays of the
gradient's shapes over all devices, by gloo between processes; `dispatch` starts a program that does nothing. One
program a step, and each waits for the one before.
"""

import argparse
import concurrent.futures
import contextlib
import os
import socket
import sys

import jax
import ml_collections
import numpy as np

from benchmarks.tools import children, figures, timing
from benchmarks.trainer_overhead import images
from configs import mnist, toy
from train import data as datasets
from train.runtime import processes
from train.step import parallel as on
from train.step.mapping import AXIS
from train.training import experiment as experiments

NAME, ROWS = 'processes', 1280
LAYOUTS = {'1 process of 8 devices': (1, 8), '4 processes of 2 devices': (4, 2)}
MODELS = {'D = 2, 8 layers': 'toy', 'D = 784, 2 layers': 'mnist'}
MAPPINGS = ('pmap', 'shard_map')
PARTS = ('step', 'exchange', 'dispatch')


class Together:
    """Processes of one run; each part of their work is called in all of them at once."""

    def __init__(self, commands):
        self._pool = concurrent.futures.ThreadPoolExecutor(len(commands))
        self._children = list(self._pool.map(lambda command: children.Child(*command), commands))

    def __call__(self, part):
        """Do a part in every process; returns when all have."""
        list(self._pool.map(lambda child: child(part), self._children))

    def close(self):
        """End the processes, which wait for each other."""
        list(self._pool.map(lambda child: child.close(), self._children))
        self._pool.shutdown()


def commands(count, devices, config, mapping, calls):
    """(command, environment) of each process of a run."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{listener.getsockname()[1]}'
    flag = f'--xla_force_host_platform_device_count={devices}'
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': flag}
    own = [f'--child={config}', f'--mapping={mapping}', f'--calls={calls}']
    command = [sys.executable, '-m', 'benchmarks.processes', *own]
    if count == 1:
        return [(command, environment)]
    command += [f'--address={address}', f'--processes={count}']
    return [([*command, f'--process={i}'], environment) for i in range(count)]


def experiment_of(name, mapping):
    """(experiment, training split) of a flow for the plane or for images of MNIST's size; a step is a program."""
    config = mnist.get_config('fixed') if name == 'mnist' else toy.get_config('smoke')
    config.update(batch_size=128, steps_per_call=1, parallel=mapping)
    if name == 'toy':
        config.update(toy_size=ROWS, schedule='constant')
    config = ml_collections.FrozenConfigDict(config)
    source = images(ROWS) if name == 'mnist' else datasets.load(config).source('train')
    return experiments.create(config), source


def parts(experiment, source, calls):
    """name -> function that does a part `calls` times."""
    layout = experiment.layout
    state = layout.place(experiments.fresh_state(experiment, source))
    kept = {
        'step': state,
        # Copies, since a step is given its state away.
        'exchange': layout.mapping.replicate(on.unreplicate(state.params), layout.devices),
        'dispatch': layout.mapping.replicate(np.float32(0), layout.devices),
    }
    train = experiment.train_call()
    chunks = list(experiment.chunks(source, 0))[:calls]

    def over(function):
        return layout.mapping.over(function, layout.devices, (0,))

    mean, next_number = over(lambda tree: jax.lax.pmean(tree, AXIS)), over(lambda value: value + 1)
    programs = {
        'step': lambda state, chunk: train(state, *chunk)[0],
        'exchange': lambda tree, _: mean(tree),
        'dispatch': lambda value, _: next_number(value),
    }

    def repeat(name):
        for chunk in chunks:
            kept[name] = jax.block_until_ready(programs[name](kept[name], chunk))

    return {name: lambda name=name: repeat(name) for name in PARTS}


def child(options):
    """One process of a run: does a part whenever the parent names it."""
    processes.join(options.address, options.processes, options.process)
    children.serve_parts(parts(*experiment_of(options.child, options.mapping), options.calls))


def measure(config, mapping, rounds, calls):
    """layout -> part -> milliseconds of one."""
    with contextlib.ExitStack() as stack:
        sides = {
            name: stack.enter_context(
                contextlib.closing(Together(commands(*layout, config, mapping, calls)))
            )
            for name, layout in LAYOUTS.items()
        }
        seconds = timing.by_turns(
            {
                (name, part): lambda side=side, part=part: side(part)
                for part in PARTS
                for name, side in sides.items()
            },
            rounds,
        )
    return {
        name: {part: timing.summary(seconds[name, part], 1000 / calls) for part in PARTS}
        for name in LAYOUTS
    }


def rows(found):
    """A line for each model, mapping and layout."""
    for model, mappings in found.items():
        for mapping, layouts in mappings.items():
            alone = layouts[next(iter(LAYOUTS))]['step']['median']
            for layout, of in layouts.items():
                ratio = figures.number(of['step']['median'] / alone)
                yield [model, mapping, layout, *(figures.interval(of[p]) for p in PARTS), ratio]


def write(found, options):
    """The record and its table."""
    cores = len(os.sched_getaffinity(0))
    command = f'python -m benchmarks.{NAME} --rounds={options.rounds} --calls={options.calls}'
    timing.record(NAME, command, {'milliseconds': found, 'cores_of_all_processes': cores})
    header = ['model', 'mapping', 'layout', 'step, ms', 'exchange alone', 'dispatch alone', 'ratio']
    figures.write_tables(
        NAME,
        f'All processes share {cores} core(s) of one machine and talk over its loopback: these are overheads, and say '
        'nothing of how several hosts scale. Medians and quartiles, in milliseconds; the ratio is to one process.',
        figures.table(header, rows(found)),
    )


def main():
    """Measure, print and record; or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--calls', type=int, default=10)
    for name in ('child', 'mapping', 'address'):
        parser.add_argument(f'--{name}', help=argparse.SUPPRESS)
    for name in ('processes', 'process'):
        parser.add_argument(f'--{name}', type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    found = {}
    for model, config in MODELS.items():
        for mapping in MAPPINGS:
            of_mapping = measure(config, mapping, options.rounds, options.calls)
            found.setdefault(model, {})[mapping] = of_mapping
            write(found, options)  # what is measured stays if the rest is not waited for


if __name__ == '__main__':
    main()
