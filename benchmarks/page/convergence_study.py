"""The convergence study as Markdown: beside the published one, how reliably models converge, why seeds differ."""

import numpy as np

from benchmarks.page import records
from benchmarks.page.records import figure
from train.config import completed
from train.reports import variance
from train.reports.markdown import table
from train.studies import convergence, statistics, summary

FEWEST_SEEDS = 5  # of a study whose spread is described
METRICS = ('min', 'max', 'last', 'first', 'exceeds')
RELIABILITY = (
    'Studies of five seeds and more, quartiles in brackets. *Diverged*: seeds that never came back. The fall of a '
    'dataset is from the median loss after epoch 1, over its studies here, to the lowest; a seed has *converged* from '
    'the epoch on after which it comes no more than 1 % of the fall below. A spike is a rise of more than 1 % of the '
    "fall above the seed's best so far. *KL*: in the training of the last epoch, of models that have one; where it is "
    'near zero, the latent variables are hardly used yet.'
)
RANKS = (
    'Between studies of the same data, budget and quantity. *First is lower*: the probability that a seed of the first '
    'ends below one of the second. p: Mann-Whitney, two-sided, by Holm over the pairs of the same data and budget.'
)


def section(published, sources, found):
    """Published metrics of loss curves above the rows of what was obtained, and all that the studies show.

    published: a section of `published.json`; sources: its last line; found: name -> record, of runs and studies.
    """
    header = ['data', 'model', 'from', *METRICS, 'diverged', 'seeds', 'epochs']
    rows = []
    for entry in published['rows']:
        numbers = [entry[name] for name in (*METRICS, 'diverged', 'seeds', 'epochs')]
        rows.append([entry['data'], entry['model'], 'published', *numbers])
        record = found.get(entry['record'])
        if record is None:
            rows.append(['', '', entry['reason'], *[''] * 8])
        else:
            rows.append(['', '', f'`{entry["record"]}`', *_numbers(record)])
    named = {entry['record'] for entry in published['rows']} & found.keys()
    beside = {name: found[name] for name in sorted(named)}
    all_studies = {name: record for name, record in found.items() if 'val' in record}
    return [
        published['about'],
        table(header, rows),
        _stragglers(beside),
        sources,
        tests(beside),
        *_reliability(beside),
        *_rank_tests(beside),
        *_sources_of_spread(all_studies),
    ]


def tests(studies):
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
        for name, record in studies.items()
    ]
    about = (
        "Test split, mean over the seeds and half its 95 % interval by Student's t (12.7 standard errors with two "
        'seeds, 2.26 with ten); one seed has none:'
    )
    return f'{about}\n\n{table(header, rows)}' if rows else ''


def _numbers(record):
    """The five metrics, seeds that broke, seeds and epochs of a study."""
    metrics = records.study_metrics(record).values()
    return [*metrics, _diverged(record), len(record['seeds']), record['epochs']]


def _diverged(record):
    return int(np.isfinite(convergence.loss_epoch(_losses(record))).sum())


def _losses(record, split='val'):
    return np.array(record[split], np.float64)


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


def _of_many_seeds(studies):
    return {name: study for name, study in studies.items() if len(study['seeds']) >= FEWEST_SEEDS}


def _per_seed(studies):
    """name -> what `summary.per_seed` has of studies of one dataset, whose lowest loss and fall they share."""
    curves = [_losses(study) for study in studies.values()]
    scale = summary.lowest(*curves), summary.fall(*curves)
    return {
        name: summary.per_seed(_losses(study), _losses(study, 'train'), *scale)
        for name, study in studies.items()
    }


def _by(studies, key):
    """Dictionaries of the studies that agree in key(study)."""
    groups = {}
    for name, study in studies.items():
        groups.setdefault(key(study), {})[name] = study
    return groups


def _reliability(studies):
    """A table of how far and how evenly the seeds of a study came."""
    measured = ('diverged', 'last', 'std of last', 'KL', 'converged, epoch', 'spikes')
    rows = []
    for dataset, group in _by(_of_many_seeds(studies), lambda study: study['dataset']).items():
        for name, measures in _per_seed(group).items():
            last = measures['last'][np.isfinite(measures['last'])]
            rows.append(
                (
                    dataset,
                    f'`{name}`',
                    f'{_diverged(group[name])} of {len(group[name]["seeds"])}',
                    _quartiles(measures['last']),
                    figure(float(last.std(ddof=1))) if len(last) > 1 else '',
                    _last_kl(group[name]),
                    _quartiles(measures['epochs_to_within_1_percent_of_fall']),
                    _quartiles(measures['spikes']),
                )
            )
    header = ('data', 'record', *measured)
    return ['### How reliably models converge', RELIABILITY, table(header, rows)] if rows else []


def _last_kl(study):
    parts = study.get('parts') or {}
    return _quartiles(np.array(parts['kl'], np.float64)[:, -1]) if 'kl' in parts else ''


def _quartiles(values):
    low, median, high = (convergence.quantile(values, q) for q in (0.25, 0.5, 0.75))
    return f'{figure(median)} ({figure(low)} to {figure(high)})'


def _rank_tests(studies):
    """Rank tests of the losses at the end between studies of equal budgets."""

    def compared(study):
        return study['dataset'], records.budget(study), study['validation_quantity']

    header = ('data', 'budget', 'loss', 'first', 'second', 'first is lower', 'p')
    rows = []
    for (dataset, budget, _), group in _by(_of_many_seeds(studies), compared).items():
        if len(group) < 2:
            continue
        measured = _per_seed(group)
        for loss in ('best', 'last'):
            ranked = statistics.rank_tests({name: of[loss] for name, of in measured.items()})
            rows += [
                (
                    dataset,
                    budget,
                    loss,
                    f'`{a}`',
                    f'`{b}`',
                    figure(test['superiority']),
                    f'{test["p"]:.2g}',
                )
                for (a, b), test in ranked['pairs'].items()
            ]
    return ['### Rank tests', RANKS, table(header, rows)] if rows else []


def _sources_of_spread(studies):
    """The variance over seeds by what was varied, where studies differ in that alone."""
    today = {
        f'`{name}`': {**study, 'config': completed(study['config'], name).to_dict()}
        for name, study in studies.items()
    }
    parts = variance.blocks(today)
    return ['### Where the spread over seeds comes from', *parts] if parts else []
