"""The sections of `results/published.json` as Markdown: published figures and the records that answer them."""

import numpy as np

from benchmarks.page import records
from benchmarks.page.records import figure
from train.reports.markdown import table
from train.studies.convergence import loss_epoch


def run_section(section, found):
    """Published test likelihoods with what was obtained."""
    header = (
        'data',
        'model',
        'nats of',
        'published',
        'obtained',
        'kind',
        'budget',
        'seed',
        'record',
    )
    rows = []
    for entry in section['rows']:
        row = [entry['data'], entry['model'], entry['space'], published(entry)]
        rows.append(row + _obtained(entry, found.get(entry['record'])))
    return [section['about'], table(header, rows), _sources(section['rows'])]


def published(entry):
    """The published figure of an entry with the remark beside it, or what follows from it in other units."""
    notes = [entry['note']] if 'note' in entry else []
    if 'converted' in entry:
        notes.append(f'{entry["converted"]}, converted here')
    return entry['published'] + (f' ({"; ".join(notes)})' if notes else '')


def _obtained(entry, record):
    """obtained, kind, budget, seed and name of an entry's record; without a record, the reason."""
    if record is None:
        hint = f'; `{entry["command"]}`' if 'command' in entry else ''
        return [entry['reason'] + hint, '', '', '', '']
    likelihood = records.likelihood(record, entry['quantity'])
    return [
        likelihood,
        records.kind(record),
        records.budget(record),
        records.seeds(record),
        f'`{entry["record"]}`',
    ]


def study_section(section, found):
    """Published metrics of loss curves, each above the row of what was obtained, then the test split of the studies."""
    metrics = ['min', 'max', 'last', 'first', 'exceeds']
    header = ['data', 'model', 'from', *metrics, 'diverged', 'seeds', 'epochs']
    rows = []
    for entry in section['rows']:
        numbers = [entry[name] for name in (*metrics, 'diverged', 'seeds', 'epochs')]
        rows.append([entry['data'], entry['model'], 'published', *numbers])
        record = found.get(entry['record'])
        if record is None:
            rows.append(['', '', entry['reason'], *[''] * 8])
        else:
            rows.append(['', '', f'`{entry["record"]}`', *_study_numbers(record)])
    tested = {entry['record'] for entry in section['rows']} & found.keys()
    studies = {name: found[name] for name in sorted(tested)}
    parts = [section['about'], table(header, rows), _stragglers(studies)]
    return [*parts, _sources(section['rows']), study_tests(studies)]


def _stragglers(studies):
    """A sentence on the seeds that did not break, but ended far above the others."""
    found = [
        f'`{name}` seed {seed} at {last:.3f}, best after epoch {best} of {study["epochs"]}'
        for name, study in studies.items()
        for seed, last, best in records.stragglers(study)
    ]
    about = (
        'Seeds that ended far above the others without breaking (the third quartile and one and a half times the '
        'interquartile range of the last losses): '
    )
    return f'{about}{"; ".join(found)}.' if found else ''


def _study_numbers(record):
    """The five metrics, seeds that broke, seeds and epochs of a study."""
    diverged = np.isfinite(loss_epoch(np.array(record['val'], np.float64))).sum()
    metrics = records.study_metrics(record).values()
    return [*metrics, diverged, len(record['seeds']), record['epochs']]


def study_tests(found):
    """The test log-likelihood of studies, which the published tables do not have."""
    header = ('record', 'data', 'model', 'test, nats', 'minus entropy', 'kind', 'budget', 'seeds')
    rows = [
        (
            f'`{name}`',
            record['dataset'],
            record['model'],
            records.study_test(record),
            '' if record['entropy'] is None else figure(-record['entropy']),
            records.kind(record),
            records.budget(record),
            records.seeds(record),
        )
        for name, record in found.items()
    ]
    about = (
        "Test split, mean over the seeds and half its 95 % interval by Student's t (12.7 standard errors with two "
        'seeds, 2.26 with ten); one seed has none:'
    )
    return f'{about}\n\n{table(header, rows)}' if rows else ''


def comparator_section(section, found):
    """Published figures of other models, and what the runs of a model here obtained on the same data.

    Of conditional models both are the marginal over classes.
    """
    runs = section.get('records', {})

    def obtained(row):
        cells = [
            f'{data}: {records.likelihood(marginal(found[name]), section["quantity"])} (`{name}`)'
            for data, name in runs.get(row[0], {}).items()
            if name in found
        ]
        return '; '.join(cells)

    about = f'{section["about"]} {section["reason"]}. Source: {section["source"]}.'
    if not runs:
        return [about, table(section['columns'], section['rows'])]
    rows = [[*row, obtained(row)] for row in section['rows']]
    return [about, table([*section['columns'], 'obtained here, test'], rows)]


def marginal(record):
    """A record with the marginal over classes in place of the conditional likelihood, where it has one."""
    return record | record.get('marginal_over_classes', {})


def _sources(entries):
    """A line with the sources of entries, each once, in their order."""
    sources = dict.fromkeys(entry['source'] for entry in entries)
    return f'Published: {"; ".join(sources)}.'


SECTIONS = {'runs': run_section, 'studies': study_section, 'comparators': comparator_section}
