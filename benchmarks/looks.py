"""How often each test split was looked at: over all records there ever were, not only over those that are left.

    python -m benchmarks.looks

adds to `results/test_looks.json` every measurement on a test split in any version of a record that git's history holds.
A record counts the looks of its own folder; one that replaces another starts again at 1.
"""

import json
import pathlib
import subprocess

import numpy as np

from benchmarks.page import records
from benchmarks.page.records import figure
from train.reports.markdown import table

ROOT = pathlib.Path(__file__).resolve().parents[1]
KINDS = ('runs', 'studies')

ABOUT = """Measurements on each test split, over every version of every record in this repository's history (`python -m
benchmarks.looks`), a study of many seeds counting once. All choices were made on validation, but a later run of a row
was begun after the earlier test figures of the row had been seen. Runs of which no record was kept, such as a trial of
a command, are not in the table. *Nats* are in the order of time, in each record's own space, and means over the seeds
of a study. Two programs of `benchmarks/` measured on MNIST's as well: `published_training` once, at its end, and
`importance` eight times, on its first 100 images."""


def look(name, found):
    """What a record says of its measurement on the test split, None if it has none."""
    if 'test_nats' in found:
        values = np.array(found['test_nats'], np.float64)
        nats = float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else None
    elif found['split'] == 'test':
        nats = found['nats']
    else:
        return None
    of_plane = found['dataset'] == 'toy'
    return {
        'data': found['config']['toy_name'] if of_plane else found['dataset'],
        'model': found['config']['model'],
        'time': found['time'],
        'record': name,
        'nats': nats,
        'looks': found.get('test_evaluations', 1),  # records older than the count have one
    }


def merged(*groups):
    """Looks of several lists, each once: those at one time on the same data by the same model are one measurement."""
    found = {}
    for each in (each for group in groups for each in group if each):
        key = each['time'], each['data'], each['model']
        if key not in found or each['looks'] > found[key]['looks']:
            found[key] = each
    return sorted(found.values(), key=lambda each: (each['data'], each['model'], each['time']))


def recorded(folder):
    """The looks of `test_looks.json` and of the records beside it."""
    path = folder / 'test_looks.json'
    past = json.loads(path.read_text()) if path.exists() else []
    now = [look(name, each) for kind in KINDS for name, each in records.read(folder, kind).items()]
    return merged(past, now)


def section(folder):
    """The blocks of the page."""
    groups = {}
    for each in recorded(folder):
        groups.setdefault((each['data'], each['model']), []).append(each)
    rows = [
        (data, model, sum(each['looks'] for each in found), _figures(found))
        for (data, model), found in groups.items()
    ]
    return [ABOUT, table(('data', 'model', 'looks', 'nats'), rows)] if rows else []


def _figures(found):
    return ', '.join(figure(each['nats']) for each in found)


def history(root):
    """The looks of all versions of all records under `results/` of a git repository."""
    folders = [f'results/{kind}' for kind in KINDS]
    log = _git(root, 'log', '--format=%H', '--name-only', '--diff-filter=AM', '--', *folders)
    commit = None
    for line in filter(None, log.splitlines()):
        if '/' not in line:
            commit = line
        elif line.endswith('.json'):
            name = line.removeprefix('results/').removesuffix('.json')
            yield look(name, json.loads(_git(root, 'show', f'{commit}:{line}')))


def _git(root, *arguments):
    command = ['git', '-C', str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    """Write `results/test_looks.json`."""
    folder = ROOT / 'results'
    found = merged(recorded(folder), history(ROOT))
    lines = ',\n'.join(f' {json.dumps(each)}' for each in found)
    (folder / 'test_looks.json').write_text(f'[\n{lines}\n]\n')


if __name__ == '__main__':
    main()
