"""Training and sampling of MAF(5) and RQ-NSF (C) here and in zuko, nflows and flowjax.

    python -m benchmarks.field_flows [--python=PYTHON] [--rounds=3] [--only=maf,rq_nsf] [--features=6,63,784]

Five layers with networks of two hidden layers, the same sizes on every side, one process each, by turns. Updates are
Adam's, on batches in memory. 10,000 rows are drawn in a turn; of MAF with more than six components the sides that
evaluate the whole network once a component draw fewer, and rows per second are what is compared. They are the other
libraries and `by sweeps`, this project's flow without its own way back. Of RQ-NSF with 784 components every side draws
1,000: at 10,000 zuko needs more than 24 GB. zuko, nflows, PyTorch and flowjax come with the extra `benchmarks`, or are
those of another Python. The record is written after every cell, and keeps the cells that a run leaves out.
"""

import argparse
import dataclasses
import json
import sys

import numpy as np

from benchmarks.field.task import Task
from benchmarks.tools import children, figures, timing
from train.training.result import provenance

NAME = 'field_flows'
OURS, SWEEPS = 'this project', 'by sweeps'
UNITS = {'train': 'updates', 'sample': 'rows'}
SIDES = {OURS: 'here', 'zuko': 'zuko_side', 'nflows': 'nflows_side', 'flowjax': 'flowjax_side'}
COLUMNS = (*SIDES, SWEEPS)
FLOWS = {'maf': 'MAF (5)', 'rq_nsf': 'RQ-NSF (C)'}
SIZES = {
    6: (128, 512, 20),
    63: (256, 512, 5),
    784: (512, 128, 2),
}  # D: units, batch, updates a turn
ROWS = 10_000
ROWS_OF_SPLINES = {6: ROWS, 63: ROWS, 784: 1000}
ROWS_IN_TURN = {6: ROWS, 63: 500, 784: 50}  # of sides that are sequential in MAF
SECONDS = 1.0  # of a turn, at the least
LEAST = 1.0  # as fast as the best of the others, in every cell


def task_of(flow, features, work, side):
    """What a side does in a turn."""
    hidden, batch, steps = SIZES[features]
    if work == 'train':
        return Task(flow, features, hidden, work, steps, batch)
    of_maf = ROWS if side == OURS else ROWS_IN_TURN[features]
    rows = of_maf if flow == 'maf' else ROWS_OF_SPLINES[features]
    return Task(flow, features, hidden, work, 1, rows)


def rates(flow, features, work, python, rounds):
    """side -> updates or rows per second of every round."""
    sides = SIDES | {SWEEPS: 'sweeps'} if (flow, work) == ('maf', 'sample') else SIDES
    tasks = {side: task_of(flow, features, work, side) for side in sides}
    commands = {}
    for side, module in sides.items():
        interpreter = sys.executable if side in (OURS, SWEEPS) else python
        text = json.dumps(dataclasses.asdict(tasks[side]))
        commands[side] = ([interpreter, '-m', f'benchmarks.field.{module}', text], None)
    with children.children(commands) as processes:
        turns = {side: timing.repeated(child, SECONDS) for side, child in processes.items()}
        seconds = timing.by_turns({side: turn[0] for side, turn in turns.items()}, rounds)
    amount = {s: t.steps if work == 'train' else t.rows for s, t in tasks.items()}
    return {side: amount[side] * turns[side][1] / seconds[side] for side in sides}


def cell(of_sides):
    """What is kept of the rates of all sides, with the ratio that is required."""
    others = [of_sides[side] for side in SIDES if side != OURS]
    return {
        'sides': {side: timing.summary(values) for side, values in of_sides.items()},
        'ratio': float(np.median(of_sides[OURS] / np.max(others, axis=0))),
        'commit': provenance()['commit'],
    }


def kept():
    """name -> cell, of the record that is there."""
    file = timing.RESULTS / f'{NAME}.json'
    return json.loads(file.read_text())['cells'] if file.exists() else {}


def write(cells, python):
    """Record all cells, and their tables."""
    names = [
        name_of(flow, features, work) for flow in FLOWS for features in SIZES for work in UNITS
    ]
    cells = {name: cells[name] for name in names if name in cells}
    required = [
        timing.requirement(f'{name}, here / best of the others', of['ratio'], at_least=LEAST)
        for name, of in cells.items()
    ]
    command = f'python -m benchmarks.{NAME}' + (
        '' if python == sys.executable else ' --python=PYTHON'
    )
    timing.record(NAME, command, {'cells': cells, 'required': required})
    rows = [
        [
            name,
            *(figures.interval(of['sides'][s]) if s in of['sides'] else '' for s in COLUMNS),
            figures.number(of['ratio']),
        ]
        for name, of in cells.items()
    ]
    header = ['', *COLUMNS, 'here / best of the others']
    figures.write_tables(NAME, figures.table(header, rows), figures.requirements_table(required))


def name_of(flow, features, work):
    """What a cell is called."""
    return f'{FLOWS[flow]}, D = {features}, {UNITS[work]} per second'


def main():
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--python', default=sys.executable, help='has the other libraries')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--only', default=','.join(FLOWS))
    parser.add_argument('--features', default=','.join(map(str, SIZES)))
    options = parser.parse_args()
    for flow in options.only.split(','):
        for features in map(int, options.features.split(',')):
            for work in UNITS:
                of_sides = rates(flow, features, work, options.python, options.rounds)
                write(kept() | {name_of(flow, features, work): cell(of_sides)}, options.python)


if __name__ == '__main__':
    main()
