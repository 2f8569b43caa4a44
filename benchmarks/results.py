"""`RESULTS.md`: every published figure beside the one obtained here, then explorations, curves, benchmarks, other runs.

    python -m benchmarks.results

Reads `results/published.json`, the records beside it and, for their commands, the configs; the same files give the same
page. Writes the blocks and the pictures of `docs/relative_gradient_revisited.md` as well. An entry of `published.json`
names its record (`"record": "runs/mnist"`) and the reason to show while there is none.
"""

import json
import pathlib

from benchmarks import looks
from benchmarks.page import (
    convergence_study,
    curves,
    dense,
    dense_pictures,
    dense_tables,
    explorations,
    marked,
    records,
)
from benchmarks.page.records import figure
from benchmarks.page.sections import SECTIONS, published
from train.reports import commands
from train.reports.markdown import table

ROOT = pathlib.Path(__file__).resolve().parents[1]
REVISITED = ROOT / 'docs' / 'relative_gradient_revisited.md'
PICTURES = ROOT / 'docs' / 'pictures'
PROVENANCE = {'device_count', 'process_count', 'cpu_count'}

TOP = """# Results

Written by `python -m benchmarks.results` from the files under `results/`; edit those, not this page.

- A record is a copy of what a command leaves in its folder: `result.json` of `python -m train.main` as
  `results/runs/NAME.json`, `study.json` of `python -m train.study` as `results/studies/NAME.json`. Figures are never
  typed; only `"seconds"`, the wall time, is added to a record by hand where somebody took it.
  `results/exploration/` has candidates compared on the validation split, `results/benchmarks/` what the programs in
  `benchmarks/` measured.
- Published figures, their sources, and the record of each or the reason why there is none are in
  `results/published.json`. *The data are not here*: not on the machine that made the records. *Not run*: with the
  command or config that would give the figure.
- *Obtained* is the test split under the checkpoint that validation chose, for the *budget* beside it, which is often
  far below the published one. Figures are nats per example, higher is better, unless a section says otherwise; +- is
  two standard errors over test examples. *Kind* says whether a likelihood is exact, a bound, or importance-weighted (a
  tighter bound), then with the effective sample size (ESS) of its weights. Of a *loose bound* a few weights are the
  whole sum (ESS under 10): it is too low by an amount that +- does not show. *Seed*: one run of this seed, where it is
  not said that there are more. *(converted here)* marks bits per dimension that follow from the published nats; they
  were not published.
- How often each test split was looked at, replaced records included, is under
  [Looks at the test splits](#looks-at-the-test-splits).
- Device, wall time and command of each record are under [Records](#records).
"""


def benchmarks(folder):
    """For each benchmark its table, or what it requires and what was found, or its medians and plain numbers."""
    parts = []
    for name, found in records.read(folder, 'benchmarks').items():
        about = f'`{found["command"]}`, {records.device(found)}, {found["time"][:10]}.'
        if (folder / f'{name}.md').exists():
            about += f' [The whole table](results/{name}.md).'
        if 'table' in found:
            header, rows = found['table']['header'], found['table']['rows']
        elif 'required' in found:
            header = ('what', 'required', 'found', 'met')
            rows = [
                (
                    line['what'],
                    figure(line['required']),
                    figure(line['found']),
                    'yes' if line['met'] else '**no**',
                )
                for line in found['required']
            ]
        else:
            header, rows = ('what', 'median', 'quartiles'), list(_medians(found, ()))
        parts.extend([f'### {name.partition("/")[2]}', about, table(header, rows)])
    return parts


def _medians(found, path):
    """(path, median, quartiles) of every summary inside nested dictionaries, and of the plain numbers at the top."""
    for name, value in found.items():
        here = (*path, str(name))
        if isinstance(value, dict) and 'median' in value:
            quartiles = ' to '.join(figure(q) for q in value.get('quartiles', ()))
            yield ' / '.join(here), figure(value['median']), quartiles
        elif isinstance(value, dict):
            yield from _medians(value, here)
        elif isinstance(value, int | float) and not path and name not in PROVENANCE:
            yield name, figure(value), ''


def other_runs(runs, studies):
    """Runs and studies that no published entry names."""
    header = ('record', 'data', 'model', 'nats', 'kind', 'budget', 'seed')
    rows = []
    for name, record in runs.items():
        data = record['config']['toy_name'] if record['dataset'] == 'toy' else record['dataset']
        nats = records.likelihood(record, 'nats')
        if 'gap_to_entropy' in record:
            nats += f', {figure(record["gap_to_entropy"])} above the entropy'
        row = (f'`{name}`', data, record['config']['model'], nats, records.kind(record))
        rows.append((*row, records.budget(record), records.seeds(record)))
    parts = ['Nats are those of the model space, after the preprocessing.', table(header, rows)]
    return [*(parts if rows else []), convergence_study.tests(studies)]


def record_table(found):
    """Where each record comes from."""
    header = ('record', 'device', 'wall time', 'ended', 'commit', 'its looks at test', 'command')
    rows = [
        (
            f'`{name}`',
            records.device(record),
            records.wall_time(record),
            record['time'][:10],
            (record['commit'] or 'none')[:7],
            record.get('test_evaluations', 'not recorded'),
            f'`{commands.command(record)}`',
        )
        for name, record in found.items()
    ]
    return [table(header, rows)] if rows else []


def page(folder):
    """The whole page from a `results/` folder, as Markdown."""
    sections = json.loads((folder / 'published.json').read_text())['sections']
    runs, studies = records.read(folder, 'runs'), records.read(folder, 'studies')
    found = runs | studies
    entries = [entry for section in sections for entry in section['rows'] if 'record' in entry]
    named = {entry['record'] for entry in entries}
    targets = {entry['record']: published(entry) for entry in entries if 'published' in entry}
    parts = [(section['title'], SECTIONS[section['kind']](section, found)) for section in sections]
    unnamed = [{name: kept[name] for name in kept if name not in named} for kept in (runs, studies)]
    parts += [
        ('Exploration', explorations.section(folder, runs)),
        ('Curves', curves.section(curves.read(folder), runs, targets)),
        ('Benchmarks', benchmarks(folder)),
        ('Other runs', other_runs(*unnamed)),
        ('Looks at the test splits', looks.section(folder)),
        ('Records', record_table(found)),
    ]
    text = TOP
    for title, blocks in parts:
        blocks = [block for block in blocks if block]
        text += '\n' + '\n\n'.join([f'## {title}', *(blocks or ['None recorded.'])]) + '\n'
    return text


def revisited(folder, text):
    """`docs/relative_gradient_revisited.md`, given as text, with its blocks from the records."""
    return marked.filled(text, dense_tables.blocks(dense.read(folder)))


def pictures(folder):
    """Name of a file of `docs/pictures/` -> its text, of those that are drawn from records."""
    return dense_pictures.pictures(dense.read(folder))


def main():
    """Write `RESULTS.md`, and the blocks and pictures of `docs/relative_gradient_revisited.md`."""
    folder = ROOT / 'results'
    (ROOT / 'RESULTS.md').write_text(page(folder))
    REVISITED.write_text(revisited(folder, REVISITED.read_text()))
    for name, text in pictures(folder).items():
        (PICTURES / name).write_text(text)


if __name__ == '__main__':
    main()
