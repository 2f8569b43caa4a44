"""Candidates of `results/exploration/` as Markdown, best on validation first, and which of them were tested."""

import math

from benchmarks.page import records
from benchmarks.page.records import figure
from train.config import completed, flat, renamed
from train.reports.markdown import table
from train.studies.statistics import student_quantile

ABOUT = """Candidates ranked by the validation split alone. *Tested as* is the record of the same run, whose test figure
stands under that name: one seed, the settings of the row, and the same validation figure to the digits given; the
others have no test figure on this page. +- is two standard errors over validation examples for a single seed, and half
the 95 % interval of the mean over seeds by Student's t for several."""
HEADER = ('candidate', 'validation, nats', 'seconds', 'seeds', 'settings', 'tested as')


def section(folder, runs):
    """The blocks of the page. folder: `results/`. runs: name -> `result.json`, in which tested candidates are found."""
    parts = []
    for found in records.read(folder, 'exploration').values():
        rows = [_row(candidate, runs) for candidate in sorted(found['candidates'], key=_rank)]
        parts.extend([f'### {found["title"]}', found['about'], table(HEADER, rows)])
    return [ABOUT, *parts] if parts else []


def tested_as(candidate, runs):
    """The names of the runs that are the same run as a candidate and were measured on the test split."""
    return [name for name, found in runs.items() if _is_run_of(candidate, found)]


def _is_run_of(candidate, found):
    nats, loss = candidate['validation_nats'], found.get('validation_loss')
    if found['split'] != 'test' or nats is None or loss is None:
        return False
    digits = len(str(nats).partition('.')[2])
    if round(-loss, digits) != nats:
        return False
    config = flat(completed(found['config'], 'a record'))
    return candidate['seeds'] == [config['seed']] and all(
        name in config and config[name] == value
        for name, value in renamed(candidate['settings']).items()
    )


def named(found, name):
    """The candidate of that name among those of a file of `results/exploration/`."""
    return next(each for each in found['candidates'] if each['name'] == name)


def validation(candidate):
    """What a candidate reached on validation, with its error."""
    return figure(candidate['validation_nats'], _error(candidate))


def _row(candidate, runs):
    settings = ', '.join(f'{name} {value}' for name, value in candidate['settings'].items())
    seconds = figure(candidate['seconds']) if 'seconds' in candidate else 'not recorded'
    tested = ', '.join(f'`{name}`' for name in tested_as(candidate, runs))
    return (candidate['name'], validation(candidate), seconds, _seeds(candidate), settings, tested)


def _error(candidate):
    """Two standard errors of one seed; of the mean over several, what Student's t makes of them."""
    error, seeds = candidate.get('two_standard_errors'), candidate['seeds']
    count = len(seeds) if isinstance(seeds, list) else seeds
    return error if error is None or count == 1 else error / 2 * student_quantile(count)


def _rank(candidate):
    """Highest validation first, what is not finite last, ties by name."""
    nats = candidate['validation_nats']
    broken = nats is None or not math.isfinite(nats)
    return broken, 0.0 if broken else -nats, candidate['name']


def _seeds(candidate):
    found = candidate['seeds']
    return ', '.join(map(str, found)) if isinstance(found, list) else found
