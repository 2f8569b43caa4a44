"""What passes from a command to its first step, and to its end: with no compiled program at hand, and with all of them.

    python -m benchmarks.start_up [--rounds=3] [--against=FOLDER]

Runs the commands of COMMANDS in new processes, by turns, each in a new folder. Cold: an
empty cache of programs and an empty `config.cache_dir`; warm: with those that a run before has left. --against: another
tree of the project, whose commands go by turns with those of this one. Seconds are of the CPU, all threads, since a
command does the same whatever else the machine is busy with; those of the wall are beside them. The first step is
the first call of training, which makes up to `config.steps_per_call` steps, 50, in one program.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from benchmarks.tools import figures, started_command, timing

HERE = pathlib.Path(__file__).resolve().parents[1]
CHILD = HERE / 'benchmarks' / 'tools' / 'started_command.py'
# Config -> to where it is run: a whole `mnist` takes minutes.
COMMANDS = {'digits.py:smoke': 'end', 'mnist.py': 'step'}
AT_MOST = {'digits.py:smoke': 8.0}  # seconds of a warm command to its first step


def timed(tree, config, caches):
    """What `started_command` leaves of one command of a tree; caches: the folder of what it keeps for the next one."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / 'timed.json'
        command = [sys.executable, '-P', str(CHILD), str(file), COMMANDS[config]]
        command += ['train.main', '--mute', f'--config={tree}/configs/{config}']
        command += [f'--workdir={folder}/run', f'--config.cache_dir={caches}/data']
        command += [f'--config.compilation_cache={caches}/programs']
        environment = os.environ | {'PYTHONPATH': str(tree)}
        subprocess.run(command, check=True, cwd=tree, env=environment, capture_output=True)
        return json.loads(file.read_text())


def measure(trees, config, rounds):
    """(side, 'cold' or 'warm') -> what `timed` gave in each round."""
    found = {(side, state): [] for side in trees for state in ('cold', 'warm')}
    for _ in range(rounds):
        for side, tree in trees.items():
            with tempfile.TemporaryDirectory() as caches:
                for state in ('cold', 'warm'):
                    found[side, state].append(timed(tree, config, caches))
    return found


def summarised(runs):
    """Medians and quartiles of the rounds of one side: of every part, and from the start to the marks."""
    names = [mark for mark in started_command.MARKS if mark in runs[0]]
    marks = [[run[mark] for mark in names] for run in runs]
    cpu, wall, compilation = (
        np.array([[mark[what] for mark in of] for of in marks])
        for what in ('cpu', 'wall', 'compilation')
    )
    parts = np.diff(cpu, axis=1, prepend=0.0)
    step = names.index('first step')
    return {
        'cpu': {name: timing.summary(parts[:, i]) for i, name in enumerate(names)},
        'within the whole, cpu': {
            name: timing.summary(np.array([run['within'][name] for run in runs]))
            for name in runs[0]['within']
        },
        'to the first step': {
            k: timing.summary(v[:, step]) for k, v in (('cpu', cpu), ('wall', wall))
        },
        'to the end': {k: timing.summary(v[:, -1]) for k, v in (('cpu', cpu), ('wall', wall))},
        'compilation, wall': timing.summary(compilation[:, -1]),
        'programs': {
            'to the first step': marks[0][step]['programs'],
            'to the end': marks[0][-1]['programs'],
        },
    }


def row(name, of):
    """One line of the table."""
    parts = [figures.number(of['cpu'][part]['median']) for part in started_command.MARKS[:-1]]
    whole = [
        figures.interval(of[to][what])
        for to in ('to the first step', 'to the end')
        for what in ('cpu', 'wall')
    ]
    programs = of['programs']
    return [name, *parts, *whole, f'{programs["to the first step"]} of {programs["to the end"]}']


def main():
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--against', help='another tree of the project')
    options = parser.parse_args()
    trees = {'this tree': HERE}
    if options.against:
        trees = {'before': pathlib.Path(options.against).resolve()} | trees
    found, rows, required = {}, [], []
    for config in COMMANDS:
        for (side, state), runs in measure(trees, config, options.rounds).items():
            of = summarised(runs)
            found.setdefault(config, {}).setdefault(side, {})[state] = of
            rows.append(row(f'{config}, {state}, {side}', of))
            if side == 'this tree' and state == 'warm' and config in AT_MOST:
                what = f'CPU seconds from the command to the first step, {config}, warm'
                seconds = of['to the first step']['cpu']['median']
                required.append(timing.requirement(what, seconds, at_most=AT_MOST[config]))
    command = f'python -m benchmarks.start_up --rounds={options.rounds}'
    command += ' --against=FOLDER' if options.against else ''
    timing.record('start_up', command, {'seconds': found, 'required': required})
    header = ['', *(f'{part}, CPU' for part in started_command.MARKS[:-1])]
    header += [
        'to the first step, CPU',
        'wall',
        'to the end, CPU',
        'wall',
        'programs to the first step',
    ]
    figures.write_tables(
        'start_up',
        'Seconds, medians, of the totals with quartiles.',
        figures.table(header, rows),
        figures.requirements_table(required),
    )


if __name__ == '__main__':
    main()
