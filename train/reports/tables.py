"""Tables that put studies side by side: what they reached, how they converged, how far their seeds lie apart."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from train.reports import published
from train.reports.markdown import table
from train.studies import convergence, statistics, summary
from train.studies.record import Studies, Study

OVERVIEW = (
    'study',
    'model',
    'dataset',
    'seeds',
    'diverged for good',
    'epochs',
    'steps',
    'parameters',
    'validation',
    'published metrics: min, max, last, first, exceeds',
    'test, nats: median',
    'kind',
    'published: lowest validation loss, mean over seeds with a loss',
)
# What `train.studies.summary` calls it -> what the table calls it.
CONVERGENCE = {
    'best': 'best',
    'best_epoch': 'best epoch',
    'last': 'last',
    'gap': 'gap: validation - training',
    'epochs_to_within_1_percent_of_fall': 'epochs to within 1 % of the fall',
    'area_under_curve': 'area above the lowest loss of the dataset, nats x epochs',
    'spikes': 'spikes of more than 1 % of the fall',
    'largest_spike': 'largest spike',
    'slope': 'slope at the end, nats/epoch',
}
NOTE = (
    'Validation losses in nats of data space, lower is better: median over seeds (quartiles) [95 % bootstrap interval '
    'of the median, from 6 seeds on]. A diverged seed counts as infinitely bad; its best, best epoch and spikes are '
    'those before it broke. A spike is a rise above the best loss so far. The fall of a dataset is from the median '
    'loss after epoch 1, over all its studies here, to the lowest; *epochs to within 1 % of the fall*: until a seed is '
    'no farther than that above its own best.'
)
EPOCHS = (1, 5, 10, 50, 100, 200, 500, 1000)
SPREAD_NOTE = (
    'Over seeds at fixed epochs: median (quartiles) of all; of those that have a loss the standard deviation, in nats '
    'and in percent of the fall.'
)
RANKED = ('best', 'last', 'epochs_to_within_1_percent_of_fall')


def blocks(studies: Studies) -> list[str]:
    """The tables of studies (name -> what `study.json` holds), and the sentences that explain them."""
    return [
        table(OVERVIEW, [_overview(name, study) for name, study in studies.items()]),
        NOTE,
        _convergence(studies),
        SPREAD_NOTE,
        _spread(studies),
        *_rank_tests(studies),
    ]


def losses(study: Study, name: str = 'val') -> np.ndarray:
    """(seeds, epochs) losses of a study, nan where a seed broke."""
    return np.array(study[name], np.float64)


def number(value: float | None, decimals: int = 3) -> str:
    """A number to read: whole ones as such, digits instead of decimals for what is small or huge.

    null in a file stands for what is not finite.
    """
    if value is None or not np.isfinite(value):
        return 'inf'
    if abs(value) >= 1e6:
        return f'{value:.3g}'
    if value == int(value):
        return f'{value:.0f}'
    return f'{value:.{decimals}f}' if abs(value) >= 0.1 else f'{value:.2g}'


def _overview(name: str, study: Study) -> tuple[Any, ...]:
    five = ', '.join(
        f'{number(mean, 2)} +- {number(std, 2)}'
        for mean, std in (
            study['metrics']['published'][key]
            for key in convergence.PUBLISHED
            if key in study['metrics']['published']
        )
    )
    return (
        name,
        study['model'],
        study['dataset'],
        len(study['seeds']),
        np.isfinite(convergence.loss_epoch(losses(study))).sum(),
        study['epochs'],
        f'{study["steps"]:,}' if 'steps' in study else '',
        f'{study["parameters"]:,}' if 'parameters' in study else '',
        study['validation_quantity'],
        five,
        _tested(study),
        study['quantity'],
        published.STUDIES.get((study['model'], study['dataset']), ''),
    )


def _tested(study: Study) -> str:
    """The median of the seeds' test figures as text, with how many have one where some have not."""
    tested = [nats for nats in study.get('test_nats', []) if nats is not None and np.isfinite(nats)]
    if not tested:
        return ''
    count = len(study['test_nats'])
    missing = f' ({len(tested)} of {count} seeds)' if len(tested) < count else ''
    return number(float(np.median(tested))) + missing


def _convergence(studies: Studies) -> str:
    rows, scales = [], _scales(studies)
    for name, study in studies.items():
        summaries = summary.summaries(
            losses(study), losses(study, 'train'), *scales[study['dataset']]
        )
        cells = [_cell(summaries[key]) if key in summaries else '' for key in CONVERGENCE]
        epochs = convergence.divergence_epoch(losses(study))
        broken = ', '.join(f'{epoch:.0f}' for epoch in sorted(epochs[np.isfinite(epochs)]))
        rows.append((name, *cells, f'{study["metrics"]["divergence_rate"]:.2f}', broken))
    columns = ('study', *CONVERGENCE.values(), 'divergence rate', 'first broken epochs')
    return table(columns, rows)


def _scales(studies: Studies) -> dict[str, tuple[float, float]]:
    """dataset -> (the lowest loss of its studies, their fall)."""
    by_dataset: dict[str, list[np.ndarray]] = {}
    for study in studies.values():
        by_dataset.setdefault(study['dataset'], []).append(losses(study))
    return {
        dataset: (summary.lowest(*curves), summary.fall(*curves))
        for dataset, curves in by_dataset.items()
    }


def _cell(over_seeds: Mapping[str, Any]) -> str:
    text = f'{number(over_seeds["median"])} ({_range(over_seeds["iqr"])})'
    return f'{text} [{_range(over_seeds["interval"])}]' if over_seeds['interval'] else text


def _range(pair: Iterable[float]) -> str:
    return ' to '.join(number(value) for value in pair)


def _spread(studies: Studies) -> str:
    longest = max(losses(study).shape[1] for study in studies.values())
    epochs = [epoch for epoch in EPOCHS if epoch <= longest]
    rows, scales = [], _scales(studies)
    for name, study in studies.items():
        curves, (_, fall) = losses(study), scales[study['dataset']]
        last = curves.shape[1]
        at = convergence.spread(curves, {*(e for e in epochs if e <= last), last})
        cells = [_spread_cell(at[epoch], fall) if epoch <= last else '' for epoch in epochs]
        rows.append((name, *cells, f'{last}: {_spread_cell(at[last], fall)}'))
    return table(('study', *(f'epoch {epoch}' for epoch in epochs), 'last epoch'), rows)


def _spread_cell(at: Mapping[str, Any], fall: float) -> str:
    text = f'{number(at["median"])} ({_range((at["q25"], at["q75"]))})'
    if at['finite'] > 1:
        text += f', std {number(at["std"])}'
        text += f' ({number(100 * at["std"] / fall)} %)' if fall else ''
    return text


def _rank_tests(studies: Studies) -> list[str]:
    """A table of rank tests between the studies of each dataset that has two or more."""
    rows: list[tuple[str, ...]] = []
    for dataset, scales in sorted(_scales(studies).items()):
        of_dataset = {
            f'{name} ({_compared(study)})': summary.per_seed(
                losses(study), losses(study, 'train'), *scales
            )
            for name, study in studies.items()
            if study['dataset'] == dataset
        }
        if len(of_dataset) > 1:
            for measure in RANKED:
                values = {name: per_seed[measure] for name, per_seed in of_dataset.items()}
                rows.extend(_ranked(dataset, CONVERGENCE[measure], values))
    if not rows:
        return []
    note = (
        'Rank tests: Kruskal-Wallis over all studies of a dataset, Mann-Whitney for each pair, Holm-adjusted over '
        'the pairs. They compare models only between studies with equal budgets and the same quantity, which stand '
        'beside each name.'
    )
    columns = (
        'dataset',
        'measure',
        'studies',
        'p',
        'probability that a seed of the first is lower',
    )
    return [note, table(columns, rows)]


def _compared(study: Study) -> str:
    """A study's model, budget and validated quantity."""
    budget = f'{study["steps"]:,} steps' if 'steps' in study else f'{study["epochs"]:,} epochs'
    return f'{study["model"]}, {budget}, {study["validation_quantity"]}'


def _ranked(
    dataset: str, measure: str, values: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, ...]]:
    tests = statistics.rank_tests(values)
    yield dataset, measure, 'all', f'{tests["kruskal_wallis"]:.2g}', ''
    for (a, b), test in tests['pairs'].items():
        yield (
            dataset,
            measure,
            f'{a} against {b}',
            f'{test["p"]:.2g}',
            f'{test["superiority"]:.2f}',
        )
