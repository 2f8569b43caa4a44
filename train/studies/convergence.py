"""Metrics of loss curves over seeds, the published ones and those a convergence study needs.

A study is an array `losses` (seeds, epochs), lower is better, sign kept; the first epoch is 1. A
number that is not finite says that the run broke. Unless a docstring says otherwise a broken run
counts as +inf from its first broken epoch on, so medians, quantiles and rank tests see it as the
worst run instead of losing it.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

PUBLISHED = ('min', 'max', 'last', 'first', 'exceeds')
FIRST_EPOCHS = 5


def published_run_metrics(series: ArrayLike) -> dict[str, Any] | None:
    """The five published metrics of one run, or None for a run without any number.

    As published, NaN epochs are dropped and the absolute value is taken, so the sign is lost and
    `last` is the last number before a run broke. `first` is the mean of the first five values left,
    `exceeds` the number of later ones above it. series: (epochs,), NaN where the run broke.
    """
    series = np.asarray(series, np.float64)
    values = np.abs(series[~np.isnan(series)])
    if not len(values):
        return None
    first = values[:FIRST_EPOCHS].mean()
    exceeds = int((values[FIRST_EPOCHS:] > first).sum())
    metrics = (values.min(), values.max(), values[-1], first, exceeds)
    return dict(zip(PUBLISHED, metrics, strict=True))


def published_metrics(series: np.ndarray) -> dict[str, Any]:
    """Mean and population deviation of the five published metrics over the runs that have any number.

    series: (seeds, epochs). Returns name -> (mean, std), and 'runs' -> how many runs went in, which the published
    tables leave out.
    """
    runs = [metrics for metrics in map(published_run_metrics, series) if metrics is not None]
    table: dict[str, Any] = {'runs': len(runs)}
    for name in PUBLISHED if runs else ():
        values = np.array([metrics[name] for metrics in runs])
        with np.errstate(invalid='ignore'):  # an infinite epoch leaves no deviation: NaN
            table[name] = (values.mean(), values.std())
    return table


def divergence_epoch(losses: ArrayLike) -> np.ndarray:
    """The first epoch that is not finite, (seeds,), inf for runs that never break."""
    broken = ~np.isfinite(_curves(losses))
    return np.where(broken.any(axis=1), broken.argmax(axis=1) + 1.0, np.inf)


def loss_epoch(losses: ArrayLike) -> np.ndarray:
    """The epoch from which on a run is never finite again, (seeds,), inf if it ends finite."""
    finite = np.isfinite(_curves(losses))
    trailing = np.cumprod(~finite[:, ::-1], axis=1).sum(axis=1)
    return np.where(trailing > 0, finite.shape[1] - trailing + 1.0, np.inf)


def divergence_rate(losses: ArrayLike) -> float:
    """The share of runs with at least one epoch that is not finite."""
    return float(np.isfinite(divergence_epoch(losses)).mean())


def censored(losses: ArrayLike) -> np.ndarray:
    """The curves with +inf from each run's first broken epoch on, (seeds, epochs)."""
    losses = _curves(losses)
    epochs = np.arange(1, losses.shape[1] + 1)
    return np.where(epochs >= divergence_epoch(losses)[:, None], np.inf, losses)


def best(losses: ArrayLike) -> np.ndarray:
    """The lowest loss before a run broke, (seeds,); inf for a run that broke in epoch 1."""
    return censored(losses).min(axis=1)


def best_epoch(losses: ArrayLike) -> np.ndarray:
    """The epoch of `best`, (seeds,); inf for a run that broke in epoch 1."""
    curves = censored(losses)
    return np.where(np.isfinite(best(losses)), curves.argmin(axis=1) + 1.0, np.inf)


def last(losses: ArrayLike) -> np.ndarray:
    """The loss after the last epoch, (seeds,); inf for a broken run."""
    return censored(losses)[:, -1]


def gap(losses: ArrayLike, train: ArrayLike) -> np.ndarray:
    """Validation minus training loss after the last epoch, (seeds,): how far a run overfits.

    train: (seeds, epochs). inf for a broken run.
    """
    difference = last(losses) - _curves(train)[:, -1]
    return np.where(np.isfinite(difference), difference, np.inf)


def epochs_to_within(
    losses: ArrayLike, epsilon: float, target: ArrayLike | None = None
) -> np.ndarray:
    """The first epoch whose loss is at most `target + epsilon`, (seeds,).

    target: a number, or (seeds,) numbers; by default each run's own best. inf for runs that break
    or never get there.
    """
    curves = censored(losses)
    target = np.broadcast_to(best(losses) if target is None else target, len(curves))
    with np.errstate(invalid='ignore'):
        reached = curves <= target[:, None] + epsilon
    there = reached.any(axis=1) & np.isfinite(curves[:, -1])
    return np.where(there, reached.argmax(axis=1) + 1.0, np.inf)


def area_under_curve(losses: ArrayLike, floor: float = 0.0) -> np.ndarray:
    """The area between curve and `floor`, nats times epochs, (seeds,); inf for a broken run.

    By the trapezoid rule, so the first and the last epoch count half.
    """
    excess = censored(losses) - floor
    area = (excess[:, :-1] + excess[:, 1:]).sum(axis=1) / 2
    return np.where(np.isfinite(excess[:, -1]), area, np.inf)


def slope(losses: ArrayLike, window: int) -> np.ndarray:
    """Least-squares slope over the last `window` epochs, nats per epoch, (seeds,).

    inf for a broken run.
    """
    curves = censored(losses)
    if not 2 <= window <= curves.shape[1]:
        raise ValueError(
            f'window must be between 2 and {curves.shape[1]}, the epochs, found {window}.'
        )
    epochs = np.arange(window) - (window - 1) / 2
    ends_finite = np.isfinite(curves[:, -1])
    tail = np.where(ends_finite[:, None], curves[:, -window:], 0.0)
    return np.where(ends_finite, tail @ epochs / (epochs @ epochs), np.inf)


def spikes(losses: ArrayLike, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Rises above the best loss so far by more than `threshold`: (count, largest), each (seeds,).

    Only epochs before a run broke are counted; the break itself is `divergence_epoch`.
    """
    curves = censored(losses)
    lowest = np.minimum.accumulate(curves, axis=1)
    finite = np.isfinite(curves)
    rise = np.where(finite, np.where(finite, curves, 0.0) - np.where(finite, lowest, 0.0), 0.0)
    return (rise > threshold).sum(axis=1), rise.max(axis=1)


def spread(losses: ArrayLike, epochs: Iterable[int]) -> dict[int, dict[str, Any]]:
    """How the seeds lie apart at fixed epochs: epoch -> statistics over the seeds.

    Mean and sample standard deviation are of the `finite` runs (a count); median and quartiles
    are of all runs, a broken one being +inf.
    """
    curves = censored(losses)
    table = {}
    for epoch in epochs:
        if not 1 <= epoch <= curves.shape[1]:
            raise ValueError(
                f'epochs must be between 1 and the {curves.shape[1]} of the curves, found {epoch}.'
            )
        values = curves[:, epoch - 1]
        finite = values[np.isfinite(values)]
        mean = finite.mean() if len(finite) else np.inf
        std = finite.std(ddof=1) if len(finite) > 1 else np.nan
        table[epoch] = {
            'finite': len(finite),
            'mean': mean,
            'std': std,
            'median': quantile(values, 0.5),
            'q25': quantile(values, 0.25),
            'q75': quantile(values, 0.75),
        }
    return table


def quantile(values: ArrayLike, q: float) -> np.ndarray | np.float64:
    """The quantile `q` along the last axis by linear interpolation, inf where it touches +inf."""
    values = np.sort(np.asarray(values, np.float64), axis=-1)
    position = q * (values.shape[-1] - 1)
    low, high = int(np.floor(position)), int(np.ceil(position))
    lower, upper = values[..., low], values[..., high]
    if low == high:
        return lower
    with np.errstate(invalid='ignore'):
        between = lower + (upper - lower) * (position - low)
    return np.where(np.isfinite(upper), between, np.inf)[()]


def _curves(losses: ArrayLike) -> np.ndarray:
    losses = np.asarray(losses, np.float64)
    if losses.ndim != 2 or not losses.size:
        raise ValueError(f'losses must have shape (seeds, epochs), found {losses.shape}.')
    return losses
