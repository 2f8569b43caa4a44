"""Time, arithmetic and memory of the variational Laplace autoencoder beside those of the published loop.

    python -m benchmarks.vlae [--batch=128] [--examples=4] [--samples=5000] [--rounds=7]

h = 500, k = 50, four damped updates, Gaussian output, float32. Training: one Adam step at D = 784, by turns with a
large matrix product, whose speed is the machine's. Evaluation: likelihoods by importance sampling; the published side
takes the examples one at a time and factors the precision anew for every sample. Memory: what training steps add to the
process once they are compiled, at D = 784 and at SVHN's D = 3072.

Each side of each part is a process of its own. `benchmarks.baselines.vlae` calls LAPACK from XLA, which on two cores
can wait for ever: both sides run with twice as many threads as cores. A call that takes longer than LIMIT ends the
benchmark with an error; the measurement of memory is tried twice.
"""

import argparse
import faulthandler
import json
import os
import subprocess
import sys

import jax
import numpy as np

from benchmarks.sides import vlae
from benchmarks.sides.vlae import OURS, PUBLISHED
from benchmarks.tools import children, figures, timing

NAME = 'vlae'
SIDES = (OURS, PUBLISHED)
FEATURES, LARGE_FEATURES = 784, 3072  # of MNIST and of SVHN
PRODUCT = 4096  # rows and columns of the product that the machine is measured by
LIMIT = 120  # seconds


def serve(function):
    """Serve a side to the parent; a call that takes too long ends this process."""

    def within_the_limit():
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        function()
        faulthandler.cancel_dump_traceback_later()

    children.serve(within_the_limit)


def be_child(options):
    """One side of one part."""
    side = SIDES[options.side]
    if options.child == 'memory':
        print(json.dumps(vlae.memory(side, options.features, options.batch)))
    elif options.child == 'training':
        serve(vlae.Training(side, FEATURES, options.batch))
    else:
        serve(vlae.likelihoods(side, FEATURES, options.examples, options.samples))


def child(part, side, options, features=FEATURES):
    """Command and environment of a side's process."""
    values = {
        'child': part,
        'side': SIDES.index(side),
        'features': features,
        'batch': options.batch,
        'examples': options.examples,
        'samples': options.samples,
    }
    command = [sys.executable, '-m', f'benchmarks.{NAME}']
    command += [f'--{name}={value}' for name, value in values.items()]
    return command, {**os.environ, 'NPROC': str(2 * os.cpu_count())}


def memory(side, features, options, attempts=2):
    """`vlae_sides.memory` of a side, from its own process."""
    command, environment = child('memory', side, options, features)
    try:
        answer = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        if attempts == 1:
            raise
        return memory(side, features, options, attempts - 1)
    return json.loads(answer.stdout)


def seconds_by_turns(options):
    """part -> name -> seconds of each round."""
    a = jax.random.normal(jax.random.key(0), (PRODUCT, PRODUCT))
    multiply = jax.jit(lambda a: a @ a)
    product = {'product': lambda: jax.block_until_ready(multiply(a))}
    found = {}
    for part, others in (('training', product), ('evaluation', {})):
        with children.children({side: child(part, side, options) for side in SIDES}) as sides:
            found[part] = timing.by_turns({**sides, **others}, options.rounds)
    return found


def arithmetic(seconds, batch):
    """(multiply-adds per example, operations per second of each round), both by side."""
    counted = {side: vlae.multiply_adds(side, FEATURES, batch) for side in SIDES}
    rates = {side: 2 * batch * counted[side] / seconds[side] for side in SIDES}
    rates['product'] = 2 * PRODUCT**3 / seconds['product']
    counted['one published Jacobian'] = vlae.multiply_adds_of_jacobian(FEATURES)
    return counted, rates


def requirements(seconds, rates, used, options):
    """The bounds, beside what was found."""
    step = f'of a training step, D = {FEATURES}, batch {options.batch}'
    ratio = {part: np.median(of[PUBLISHED] / of[OURS]) for part, of in seconds.items()}
    memory_ratio = used[OURS]['peak'] / used[PUBLISHED]['peak']
    samples = f'likelihoods by {options.samples:,} samples'
    lines = [
        (f'time {step}, published / this project', ratio['training'], {'at_least': 2}),
        (f'peak memory {step}, this project / published', memory_ratio, {'at_most': 0.5}),
        (f'time of {samples}, published / this project', ratio['evaluation'], {'at_least': 5}),
        (
            f'operations per second {step}, this project / large product',
            np.median(rates[OURS] / rates['product']),
            {'at_least': 0.5},
        ),
    ]
    return [timing.requirement(what, found, **bound) for what, found, bound in lines]


def tables(found):
    """Markdown of the figures."""
    seconds, rates, used = (found[key] for key in ('seconds', 'operations_per_second', 'bytes'))
    rows = [
        ['training step, ms', *(figures.interval(seconds['training'][s]) for s in SIDES)],
        ['likelihoods, s', *(figures.interval(seconds['evaluation'][s]) for s in SIDES)],
        [
            'million multiply-adds per example and step',
            *(figures.number(found['multiply_adds'][s] / 1e6) for s in SIDES),
        ],
        ['10^9 operations per second', *(figures.interval(rates[s]) for s in SIDES)],
    ]
    for features, of in used.items():
        cells = (figures.number(of[s]['peak'] / 2**20) for s in SIDES)
        rows.append([f'peak memory of training, D = {features:,}, MiB', *cells])
    speed = figures.interval(rates['product'])
    note = f'The large matrix product: {speed} 10^9 operations per second.'
    return figures.table(['median and quartiles', *SIDES], rows), note


def main():
    """Measure both sides, print and record; or be a side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--batch', type=int, default=128)
    parser.add_argument('--examples', type=int, default=4, help='to evaluate')
    parser.add_argument('--samples', type=int, default=5000, help='for each of them')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--child', default='', help=argparse.SUPPRESS)
    parser.add_argument('--side', type=int, help=argparse.SUPPRESS)
    parser.add_argument('--features', type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return be_child(options)

    used = {
        features: {side: memory(side, features, options) for side in SIDES}
        for features in (FEATURES, LARGE_FEATURES)
    }
    seconds = seconds_by_turns(options)
    counted, rates = arithmetic(seconds['training'], options.batch)
    scales = {'training': 1e3, 'evaluation': 1}
    found = {
        'seconds': {
            part: {name: timing.summary(values, scales[part]) for name, values in of.items()}
            for part, of in seconds.items()
        },
        'multiply_adds': counted,
        'operations_per_second': {n: timing.summary(v, 1e-9) for n, v in rates.items()},
        'bytes': used,
        'required': requirements(seconds, rates, used[FEATURES], options),
    }
    again = ' '.join(f'--{n}={getattr(options, n)}' for n in ('batch', 'examples', 'samples'))
    timing.record(NAME, f'python -m benchmarks.{NAME} {again} --rounds={options.rounds}', found)
    figures.write_tables(NAME, *tables(found), figures.requirements_table(found['required']))


if __name__ == '__main__':
    main()
