"""Ten seeds in one program against ten single runs.

    python -m benchmarks.study [--part=steps] [--devices=2] [--threads=4] [--batches=128,4096] [--rounds=5]
    python -m benchmarks.study --part=commands [--epochs=4]

The flow of `configs/study_toy.py`. The seeds of the study go over two forced host devices, with NPROC=4 in the
environment (--threads=0: left to the command); a single run has one device with all cores. `steps`: the training
alone, its compilation left out, the seeds mapped or vmapped on each device; each side has a process of its own, they
run by turns. `commands`: `python -m train.study` from its start to its end against ten times `python -m train.main`,
with what of it is start-up and compilation.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.tools import children, figures, timing

NAME = 'study'
SEEDS = 10
STEPS = {128: 200, 4096: 20}
AT_MOST = {128: 0.85, 4096: 1.05}
COMMANDS_AT_MOST = 0.6
SINGLE, STUDY = 'ten single runs', 'one study, {}'
AXES = ('map', 'vmap')


def environment_of(devices, threads):
    """The environment of a study with so many forced host devices, and NPROC unless it is left to the command."""
    flags = os.environ.get('XLA_FLAGS', '')
    changed = {'XLA_FLAGS': f'{flags} --xla_force_host_platform_device_count={devices}'}
    if threads:
        changed['NPROC'] = str(threads)
    # Without what this process prepared for itself.
    return {name: value for name, value in os.environ.items() if name != 'NPROC'} | changed


def steps_of(batch, study_environment, rounds):
    """name -> seconds of each round in which every seed trains so many steps."""
    command = [sys.executable, '-m', 'benchmarks.sides.study', f'--batch={batch}']
    command += [f'--steps={STEPS[batch]}']
    commands = {SINGLE: ([*command, '--side=single'], None)}
    for axis in AXES:
        arguments = [*command, '--side=study', f'--seed_axis={axis}']
        commands[STUDY.format(axis)] = arguments, study_environment
    with children.children(commands) as sides:
        return timing.by_turns(sides, rounds)


def steps(batches, devices, threads, rounds):
    """Measure, print and record the training alone."""
    found, required = {}, []
    for batch in batches:
        seconds = steps_of(batch, environment_of(devices, threads), rounds)
        found[batch] = {n: timing.summary(v, 1 / STEPS[batch]) for n, v in seconds.items()}
        for axis in AXES:
            ratio = np.median(seconds[STUDY.format(axis)] / seconds[SINGLE])
            what = f'time of a study / of ten runs, {axis}, batch {batch:,}'
            required.append(timing.requirement(what, ratio, at_most=AT_MOST[batch]))
    name = f'{NAME}_steps'
    command = f'python -m benchmarks.{NAME} --part=steps --devices={devices} --threads={threads}'
    timing.record(name, command, {'seconds_per_step_of_ten': found, 'required': required})
    names = [SINGLE, *(STUDY.format(axis) for axis in AXES)]
    rows = [[b, *(figures.interval(scaled(sides[n])) for n in names)] for b, sides in found.items()]
    figures.write_tables(
        name,
        'Milliseconds in which each of ten seeds makes one step, median and quartiles.',
        figures.table(['batch', *names], rows),
        figures.requirements_table(required),
    )


def scaled(found):
    """A summary in milliseconds."""
    return {'median': 1e3 * found['median'], 'quartiles': [1e3 * q for q in found['quartiles']]}


def timed(module, environment, epochs, folder, *arguments):
    """{'total', 'start', 'compilation'} seconds of one command of `train`."""
    file = pathlib.Path(folder) / 'timed.json'
    command = [sys.executable, '-m', 'benchmarks.tools.timed_command', str(file), module]
    command += ['--config=configs/study_toy.py', f'--config.epochs={epochs}']
    command += ['--config.toy_size=25600', f'--workdir={folder}/run', *arguments]
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return {'total': time.perf_counter() - start, **json.loads(file.read_text())}


def commands(devices, threads, epochs):
    """Measure, print and record the commands from start to end."""
    study_environment = environment_of(devices, threads)
    runs = {'study': [], 'run': []}
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            seeds = ('--config.num_seeds=1', f'--config.seed={seed}')
            runs['run'].append(timed('train.main', None, epochs, folder, *seeds))
        if seed % 3 == 0 and len(runs['study']) < 3:
            with tempfile.TemporaryDirectory() as folder:
                seeds = (f'--config.num_seeds={SEEDS}',)
                runs['study'].append(
                    timed('train.study', study_environment, epochs, folder, *seeds)
                )
    parts = ('total', 'start', 'compilation')
    found = {
        name: {part: timing.summary(np.array([run[part] for run in of])) for part in parts}
        for name, of in runs.items()
    }
    all_runs = sum(run['total'] for run in runs['run'])
    what = f'time of train.study / of ten train.main, {epochs} epochs of 50 steps'
    ratio = found['study']['total']['median'] / all_runs
    required = [timing.requirement(what, ratio, at_most=COMMANDS_AT_MOST)]
    name = f'{NAME}_commands'
    command = f'python -m benchmarks.{NAME} --part=commands --devices={devices} --threads={threads} --epochs={epochs}'
    timing.record(name, command, {'seconds': found, 'ten_runs': all_runs, 'required': required})
    rows = [
        [f'{name}, each', *(figures.interval(of[part]) for part in parts)]
        for name, of in found.items()
    ]
    figures.write_tables(
        name,
        f'Seconds, median and quartiles; the ten runs together: {all_runs:.0f} s.',
        figures.table(['', 'start to end', 'to the first compilation', 'compilation'], rows),
        figures.requirements_table(required),
    )


def main():
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--part', choices=('steps', 'commands'), default='steps')
    parser.add_argument('--devices', type=int, default=2)
    parser.add_argument('--threads', type=int, default=4, help='NPROC of the study')
    parser.add_argument('--batches', default='128,4096', help='of part steps')
    parser.add_argument('--rounds', type=int, default=5, help='of part steps')
    parser.add_argument('--epochs', type=int, default=4, help='of part commands')
    options = parser.parse_args()
    if options.part == 'steps':
        batches = [int(size) for size in options.batches.split(',')]
        steps(batches, options.devices, options.threads, options.rounds)
    else:
        commands(options.devices, options.threads, options.epochs)


if __name__ == '__main__':
    main()
