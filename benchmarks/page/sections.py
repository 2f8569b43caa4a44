"""The sections of `results/published.json` as Markdown: published figures and the records that answer them."""

from benchmarks.page import convergence_study, records
from train.reports.markdown import table


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
    """The convergence study, `convergence_study.section`."""
    return convergence_study.section(section, _sources(section['rows']), found)


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
