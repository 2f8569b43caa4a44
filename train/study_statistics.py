"""Bootstrap intervals, rank tests between models, and which seed is to blame for the spread.

Values may hold +inf (a run that broke): ranks and medians take it as the worst value there is.
"""

import itertools

import numpy as np
from scipy import stats

from train.study_metrics import quantile


def median(values):
    """The median along the last axis, defined with +inf among the values."""
    return quantile(values, 0.5)


def bootstrap_interval(values, statistic=median, *, level=0.95, draws=10_000, seed=0):
    """Percentile bootstrap interval (low, high) of `statistic` over runs.

    values: (runs,). statistic: maps (draws, runs) to (draws,) along the last axis. level: coverage
        in (0, 1).
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        raise ValueError('a bootstrap interval needs at least one value, found none.')
    rows = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    resampled = statistic(values[rows])
    return quantile(resampled, (1 - level) / 2), quantile(resampled, (1 + level) / 2)


def rank_tests(groups):
    """Do models differ? Kruskal-Wallis over all of them, and two-sided Mann-Whitney tests of each pair.

    groups: name -> (runs,) values, lower is better. Returns {'kruskal_wallis': p-value, 'pairs': (a, b) -> {'p',
    'superiority'}}: p is Holm-adjusted over the pairs, superiority the probability that a run of a is below a run of
    b, ties half.
    """
    names = list(groups)
    if len(names) < 2:
        raise ValueError(f'rank tests compare at least two groups, found {len(names)}.')
    # Ranks over everything carry all that the tests use, and are finite where values are not.
    sizes = [len(groups[name]) for name in names]
    ranks = stats.rankdata(np.concatenate([np.asarray(groups[name], np.float64) for name in names]))
    ranked = dict(zip(names, np.split(ranks, np.cumsum(sizes)[:-1]), strict=True))
    pairs = list(itertools.combinations(names, 2))
    tests = [stats.mannwhitneyu(ranked[a], ranked[b]) for a, b in pairs]
    adjusted = holm([test.pvalue for test in tests])
    table = {}
    for (a, b), test, p in zip(pairs, tests, adjusted, strict=True):
        below = 1 - test.statistic / (len(ranked[a]) * len(ranked[b]))
        table[a, b] = {'p': p, 'superiority': below}
    all_equal = len(set(ranks)) == 1
    p_all = 1.0 if all_equal else stats.kruskal(*ranked.values()).pvalue
    return {'kruskal_wallis': float(p_all), 'pairs': table}


def holm(p_values):
    """Holm's adjustment: p-values that hold for the whole family of tests."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted[np.argsort(order)].tolist()


def variance_shares(values, varied_alone):
    """One factor at a time: the variance with one seed varied alone over the variance with all of
    them varied.

    values: (runs,) with every factor varied. varied_alone: factor -> (runs,) with the other seeds
        held fixed. Returns
    factor -> share. Shares need not add up to one: what is missing (or too much) is interaction,
    and noise of the estimate. Broken runs have no variance and are refused.
    """
    total = _variance('all', values)
    return {factor: _variance(factor, runs) / total for factor, runs in varied_alone.items()}


def crossed_variance(values, factors):
    """A crossed design: the share of the total sum of squares due to each factor's main effect,
    and to interaction.

    values: one run per combination of levels, one axis per factor. factors: their names, in the
        order of the axes.
    Returns factor -> share and 'interaction' -> share; they add up to one.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != len(factors):
        raise ValueError(
            f'values must have one axis per factor ({len(factors)}), found shape {values.shape}.'
        )
    _refuse_broken('the crossed design', values)
    mean = values.mean()
    total = ((values - mean) ** 2).sum()
    shares = {}
    for axis, factor in enumerate(factors):
        others = tuple(other for other in range(values.ndim) if other != axis)
        effect = values.mean(axis=others) - mean
        shares[factor] = (effect**2).sum() * (values.size / values.shape[axis]) / total
    shares['interaction'] = 1 - sum(shares.values())
    return {name: float(share) for name, share in shares.items()}


def _variance(name, values):
    values = np.asarray(values, np.float64)
    _refuse_broken(f'`{name}`', values)
    if len(values) < 2:
        raise ValueError(f'a variance needs at least two runs, found {len(values)} in `{name}`.')
    return float(values.var(ddof=1))


def _refuse_broken(name, values):
    if not np.isfinite(values).all():
        broken = int((~np.isfinite(values)).sum())
        raise ValueError(
            f'variance decomposition needs finite values, found {broken} broken runs in {name}; '
            'report them as divergence and leave them out.'
        )
