"""Intervals, rank tests between models, and which seed is to blame for the spread.

Values may hold +inf (a run that broke): ranks and medians take it as the worst value there is.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from train.studies.convergence import quantile


def median(values: ArrayLike) -> np.ndarray | np.float64:
    """The median along the last axis, defined with +inf among the values."""
    return quantile(values, 0.5)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[np.ndarray], ArrayLike] = median,
    *,
    level: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> tuple[Any, Any]:
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


def rank_tests(groups: Mapping[str, Sequence[float] | np.ndarray]) -> dict[str, Any]:
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


def holm(p_values: ArrayLike) -> list[float]:
    """Holm's adjustment: p-values that hold for the whole family of tests."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted[np.argsort(order)].tolist()


def variance_shares(values: ArrayLike, varied_alone: Mapping[str, ArrayLike]) -> dict[str, float]:
    """One factor at a time: the variance with one seed varied alone over the variance with all of
    them varied.

    values: (runs,) with every factor varied. varied_alone: factor -> (runs,) with the other seeds
        held fixed. Returns
    factor -> share. Shares need not add up to one: what is missing (or too much) is interaction,
    and noise of the estimate. Broken runs have no variance and are refused.
    """
    total = _variance('all', values)
    return {factor: _variance(factor, runs) / total for factor, runs in varied_alone.items()}


def variance_ratio_interval(
    ratio: float, runs: int, of_runs: int, level: float = 0.95
) -> tuple[float, float]:
    """The interval of a ratio of two variances, from the ratio found among so many runs and so many others.

    By the F distribution, which the ratio follows where values are normal and the runs independent; `level` in (0, 1).
    """
    tail = (1 - level) / 2
    by = stats.f(runs - 1, of_runs - 1)
    return ratio / float(by.isf(tail)), ratio / float(by.ppf(tail))


def crossed_variance(values: np.ndarray, factors: list[str]) -> dict[str, float]:
    """A crossed design: the share of the variance due to each factor's main effect, and to the rest.

    From `variance_components`, a negative estimate counting as 0. Arguments as there. Returns factor -> share and
    'interaction and noise' -> share; they add up to one.
    """
    components = {name: max(0.0, v) for name, v in variance_components(values, factors).items()}
    total = sum(components.values())
    return {name: component / total for name, component in components.items()}


def variance_components(values: np.ndarray, factors: list[str]) -> dict[str, float]:
    """Unbiased variances of each factor's main effect and of what is left, from the mean squares of a crossed design.

    With one run for each combination of levels, N in all, the mean square of a factor with a levels has the expectation
    s^2 + N / a sigma^2, sigma^2 being its variance and s^2 that of interaction and noise together, which single runs do
    not tell apart (exactly so for two factors; for three, if they interact in pairs, s^2 differs between them).
    An estimate may be negative.

    values: one axis per factor, two levels or more on each. factors: their names, in the order of the axes, two or
        more. Returns factor -> sigma^2, and 'interaction and noise' -> s^2.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != len(factors) or values.ndim < 2 or min(values.shape) < 2:
        raise ValueError(
            f'values must have one axis per factor ({len(factors)}, at least 2) with two levels or more on each, '
            f'found shape {values.shape}.'
        )
    _refuse_broken('the crossed design', values)
    mean, N = values.mean(), values.size
    squares = {}
    for axis, (factor, levels) in enumerate(zip(factors, values.shape, strict=True)):
        others = tuple(other for other in range(values.ndim) if other != axis)
        squares[factor] = ((values.mean(axis=others) - mean) ** 2).sum() * N / levels
    freedom = N - 1 - sum(levels - 1 for levels in values.shape)
    rest = (((values - mean) ** 2).sum() - sum(squares.values())) / freedom
    components = {
        factor: float((squares[factor] / (levels - 1) - rest) * levels / N)
        for factor, levels in zip(factors, values.shape, strict=True)
    }
    return components | {'interaction and noise': float(rest)}


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """(mean, half width) of Student's interval for the mean of independent runs, (n,) with n at least 2.

    The quantile of n - 1 degrees of freedom is 12.7 for two runs, 4.3 for three and 2.26 for ten, not 2.
    """
    values = np.asarray(values, np.float64)
    return float(values.mean()), student_quantile(len(values), level) * _standard_error(values)


def student_quantile(n: int, level: float = 0.95) -> float:
    """How many standard errors of a mean of n values its two-sided interval reaches to each side."""
    if n < 2:
        raise ValueError(f'an interval of a mean needs at least two values, found {n}.')
    return float(stats.t.ppf((1 + level) / 2, n - 1))


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _variance(name: str, values: ArrayLike) -> float:
    values = np.asarray(values, np.float64)
    _refuse_broken(f'`{name}`', values)
    if len(values) < 2:
        raise ValueError(f'a variance needs at least two runs, found {len(values)} in `{name}`.')
    return float(values.var(ddof=1))


def _refuse_broken(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        broken = int((~np.isfinite(values)).sum())
        raise ValueError(
            f'variance decomposition needs finite values, found {broken} broken runs in {name}; '
            'report them as divergence and leave them out.'
        )
