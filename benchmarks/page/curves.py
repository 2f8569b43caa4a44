"""Validation against epochs, and the time of an epoch, from copies of the `metrics.jsonl` that runs leave."""

import json
import math

import numpy as np

from benchmarks.page.records import figure
from train.errors import UserError
from train.reports.markdown import table

SHOWN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
# Presets whose log-determinant is the same for all data, so that bits per dimension follow from nats of the model.
CONSTANT_VOLUME = ('none', 'mean', 'zca', 'levels')

ABOUT = """Validation by epoch: the negative log-likelihood or negative bound in nats of the model's space, and in bits
per dimension where the preprocessing has a constant volume. `results/runs/NAME.jsonl` is a copy of a run's
`metrics.jsonl`. *Training epoch* is its median time without its validation, *updates* the mean error of
VLAE's reconstructions before its first update and after each, in training, at the first and at the last epoch. What
else ran on the machine is not recorded, so that times of an epoch are upper limits. *Published* is the test
log-likelihood that the curve is to be seen against, as in the tables above."""


def read(folder):
    """name such as `runs/mnist` -> the lines of its `metrics.jsonl`, for every run that has a copy of it."""
    files = sorted((folder / 'runs').glob('*.jsonl'))
    return {
        f'runs/{file.stem}': [json.loads(line) for line in file.read_text().splitlines()]
        for file in files
    }


def section(curves, runs, published):
    """The blocks of the page for the curves of recorded runs. published: name of a record -> its published figure."""
    if not curves:
        return []
    shown = [epoch for epoch in SHOWN if any(_at(lines, epoch) for lines in curves.values())]
    header = (
        'record',
        'unit',
        *(f'epoch {epoch}' for epoch in shown),
        'last',
        'published',
        'training epoch',
        'updates',
    )
    rows = []
    for name, lines in curves.items():
        if name not in runs:
            raise UserError(
                f'results/{name}.jsonl needs the result.json of the same run beside it, as results/{name}.json.'
            )
        loss = f'validation_{runs[name]["validation_quantity"]}'
        for unit, convert in _units(runs[name]):
            values = [_at(lines, epoch) for epoch in shown]
            cells = [_cell(line, loss, convert) for line in (*values, lines[-1])]
            rows.append(
                (f'`{name}`', unit, *cells, published.get(name, ''), seconds(lines), updates(lines))
            )
    return [ABOUT, table(header, rows)]


def _units(record):
    """(unit, nats of the model's space -> unit) of what a record's curve is shown in."""
    yield 'nats', lambda nats: nats
    if 'bits_per_dim' in record and record['config']['preprocessing'] in CONSTANT_VOLUME:
        nats_a_bit = record['D'] * math.log(2)
        yield (
            'bits/dim',
            lambda nats: record['bits_per_dim'] + (nats + record['nats']) / nats_a_bit,
        )


def _at(lines, epoch):
    """The validated line of an epoch, or None."""
    return next((line for line in lines if line['epoch'] == epoch), None)


def _cell(line, loss, convert):
    return figure(convert(line[loss])) if line and loss in line else ''


def seconds(lines):
    """The median time of a training epoch, as text."""
    steps = np.diff([0] + [line['step'] for line in lines])
    return f'{figure(float(np.median(steps / [line["steps_per_second"] for line in lines])))} s'


def updates(lines):
    """The errors of VLAE's reconstructions over its updates, at the first and the last epoch."""
    names = [name for name in lines[0] if name.startswith('reconstruction_error_')]
    ends = [', '.join(figure(line[name]) for name in names) for line in (lines[0], lines[-1])]
    return ' to '.join(ends) if names else ''
