"""Which seeds a study's spread comes from: those of the initialisation, of the order of the batches, or of the noise.

Two designs, recognised among the studies of a report by their configs: the same config with `config.vary` naming one
factor in each and all of them in another; and a grid, one run for each combination of levels of two factors or more.
"""

import itertools
import json
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from train.config import defining
from train.reports.markdown import table
from train.reports.tables import losses, number
from train.studies import convergence, statistics
from train.studies.record import Studies, Study

Group = Sequence[tuple[str, Study]]
Measure = Callable[[np.ndarray], np.ndarray]  # losses (seeds, epochs) -> (seeds,)


FACTORS = ('init', 'order', 'noise')
REST = 'interaction and noise'
MEASURES = {'best': convergence.best, 'last': convergence.last}
OF_THE_STUDY = frozenset(['vary', 'num_seeds'])
OF_THE_SEEDS = OF_THE_STUDY | {'seed', *(f'seed_{name}' for name in (*FACTORS, 'data'))}


def blocks(studies: Studies) -> list[str]:
    """The tables of both designs as Markdown with their explanations, [] where there is neither.

    studies: name -> what `study.json` holds; published series, which have no config, are left out.
    """
    ours = {name: study for name, study in studies.items() if 'config' in study}
    alone = [row for group in _groups(ours, OF_THE_STUDY) for row in _one_at_a_time(group)]
    crossed = [row for group in _groups(ours, OF_THE_SEEDS) for row in _crossed(group)]
    texts = []
    if alone:
        note = (
            'Share of the variance over seeds by factor: the variance with one factor varied, over that with all '
            'varied, with its 95 % interval for normal values, after equally many epochs and without diverged seeds; '
            'shares need not add up to one.'
        )
        shares = (f'{cell} {name}' for name in MEASURES for cell in ('std of', 'share of'))
        texts += [note, table(('study', 'varied', 'seeds', *shares), alone)]
    if crossed:
        note = (
            'Share of the variance over a grid of seeds: main effects, freed of the noise in their means (analysis of '
            'variance; a negative estimate counts as 0), and interaction with noise.'
        )
        texts += [note, table(('studies', 'grid', 'loss', *FACTORS, REST), crossed)]
    return texts


def _groups(studies: Studies, without: Collection[str]) -> list[Group]:
    """Lists of (name, study) whose configs are equal in all fields that define a result but those left out."""
    groups: dict[str, list[tuple[str, Study]]] = {}
    for name, study in studies.items():
        fields = {
            field: value
            for field, value in defining(study['config']).items()
            if field not in without
        }
        data = study['seeds'][0]['data']
        groups.setdefault(json.dumps([fields, data], sort_keys=True), []).append((name, study))
    return [group for group in groups.values() if len(group) > 1]


def _varied(study: Study) -> frozenset[str]:
    """What `config.vary` of a study names."""
    return frozenset(name for name in study['config']['vary'].split(',') if name)


def _one_at_a_time(group: Group) -> Iterator[tuple[str, ...]]:
    """A row for each study of one factor, after one for the study of all where there is one."""
    length = min(losses(study).shape[1] for _, study in group)
    of = {_varied(study): (name, losses(study)[:, :length]) for name, study in group}
    single = {factor: of[frozenset([factor])] for factor in FACTORS if frozenset([factor]) in of}
    if not single:
        return
    everything = of.get(frozenset(FACTORS))
    total = _kept(everything[1]) if everything else None
    if everything:
        yield everything[0], 'all', *_spread_and_share(everything[1], None)
    for varied, (name, curves) in single.items():
        yield name, varied, *_spread_and_share(curves, total)


def _kept(curves: np.ndarray) -> np.ndarray:
    """The curves of seeds that did not diverge."""
    return curves[np.isfinite(curves).all(axis=1)]


def _spread_and_share(curves: np.ndarray, total: np.ndarray | None) -> Iterator[str]:
    """How many seeds count, and for each measure the deviation over them and its share in the variance of `total`."""
    kept = _kept(curves)
    yield f'{len(kept)} of {len(curves)}'
    for measure in MEASURES.values():
        yield number(measure(kept).std(ddof=1)) if len(kept) > 1 else ''
        yield _share(measure, total, kept)


def _share(measure: Measure, total: np.ndarray | None, kept: np.ndarray) -> str:
    """The share of the variance with its interval as text, '' where it is not defined."""
    if total is None or min(len(total), len(kept)) < 2 or np.ptp(measure(total)) == 0:
        return ''
    share = statistics.variance_shares(measure(total), {'factor': measure(kept)})['factor']
    low, high = statistics.variance_ratio_interval(share, len(kept), len(total))
    return f'{share:.2f} ({low:.2g} to {high:.2g})'


def _crossed(group: Group) -> Iterator[tuple[str, ...]]:
    """A row for each loss of the studies that together fill a grid of seeds."""
    for varied in sorted({_varied(study) for _, study in group}, key=sorted):
        pool = [(name, study) for name, study in group if _varied(study) == varied]
        length = min(losses(study).shape[1] for _, study in pool)
        runs = {
            tuple(seeds[factor] for factor in FACTORS): curve
            for _, study in pool
            for seeds, curve in zip(study['seeds'], losses(study)[:, :length], strict=True)
        }
        levels = [sorted(set(level)) for level in zip(*runs, strict=True)]
        factors = [f for f, level in zip(FACTORS, levels, strict=True) if len(level) > 1]
        if len(factors) < 2 or len(runs) < np.prod([len(level) for level in levels]):
            continue
        curves = np.array([runs[cell] for cell in itertools.product(*levels)])
        shape = [len(level) for level in levels if len(level) > 1]
        names = ', '.join(name for name, _ in pool)
        grid = ' x '.join(f'{n} {f}' for n, f in zip(shape, factors, strict=True))
        broken = (~np.isfinite(curves).all(axis=1)).sum()
        for loss, measure in MEASURES.items():
            cells: tuple[str, ...] = (f'{broken} diverged', '', '', '')
            if not broken:
                cells = _crossed_cells(measure(curves).reshape(shape), factors)
            yield names, grid, loss, *cells


def _crossed_cells(values: np.ndarray, factors: list[str]) -> tuple[str, ...]:
    if np.ptp(values) == 0:
        return 'no variance', '', '', ''
    shares = statistics.crossed_variance(values, factors)
    return tuple(f'{shares[name]:.2f}' if name in shares else '' for name in (*FACTORS, REST))
