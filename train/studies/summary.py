"""A study's curves as numbers over its seeds: what describes convergence, with quartiles and bootstrap intervals."""

from typing import Any

import numpy as np

from train.studies import convergence, statistics

LONGEST_WINDOW = 20  # epochs of the slope
# The range of n runs covers their median with probability 1 - 2**(1 - n), and the bootstrap stays within the range.
FEWEST_FOR_INTERVAL = 6


def lowest(*losses: np.ndarray) -> float:
    """The lowest loss in arrays of losses, 0 where none is finite."""
    finite = [values[np.isfinite(values)].min() for values in losses if np.isfinite(values).any()]
    return min(finite, default=0.0)


def fall(*losses: np.ndarray) -> float:
    """How far the losses of (seeds, epochs) arrays come down: the median of epoch 1 minus the lowest of all, in nats.

    Of the seeds with a loss in epoch 1; 0 where none has one. A likelihood of data has no zero, so that one percent of
    a loss would change with the unit of the data; one percent of the fall does not.
    """
    first = np.concatenate([values[:, 0] for values in losses])
    first = first[np.isfinite(first)]
    return float(np.median(first)) - lowest(*losses) if len(first) else 0.0


def per_seed(
    validation: np.ndarray, train: np.ndarray, floor: float, fall: float
) -> dict[str, np.ndarray]:
    """name -> (seeds,) values; (seeds, epochs) losses in nats.

    A diverged seed counts as infinitely bad, except in `best`, `best_epoch`, `spikes` and `largest_spike`, which are of
    the epochs before it broke. `area_under_curve` is above `floor`. One percent of `fall` is the distance to a seed's
    own best in `epochs_to_within_1_percent_of_fall` and the least rise that is a spike. Left out: `gap` where the
    training loss is not known, and `slope` after a single epoch.
    """
    percent = 0.01 * fall
    spikes, largest_spike = convergence.spikes(validation, percent)
    measures = {
        'best': convergence.best(validation),
        'best_epoch': convergence.best_epoch(validation),
        'last': convergence.last(validation),
        'area_under_curve': convergence.area_under_curve(validation, floor),
        'epochs_to_within_1_percent_of_fall': convergence.epochs_to_within(validation, percent),
        'spikes': spikes,
        'largest_spike': largest_spike,
    }
    if np.isfinite(train).any():
        measures['gap'] = convergence.gap(validation, train)
    if validation.shape[1] > 1:
        window = max(2, min(LONGEST_WINDOW, validation.shape[1] // 5))
        measures['slope'] = convergence.slope(validation, window)
    return measures


def metrics(validation: np.ndarray, train: np.ndarray) -> dict[str, Any]:
    """What `summaries` has for the study's own lowest loss and fall, the divergence rate, and the published metrics."""
    numbers = summaries(validation, train, lowest(validation), fall(validation))
    numbers['divergence_rate'] = float(convergence.divergence_rate(validation))
    numbers['published'] = convergence.published_metrics(validation)
    return numbers


def summaries(
    validation: np.ndarray, train: np.ndarray, floor: float, fall: float
) -> dict[str, Any]:
    """name -> {'median', 'iqr', 'interval'} of each of `per_seed`.

    `interval` is the bootstrap's 95 % of the median, None for fewer seeds than can have one.
    """
    values = per_seed(validation, train, floor, fall)
    return {name: _summary(of_seeds) for name, of_seeds in values.items()}


def _summary(values: np.ndarray) -> dict[str, Any]:
    interval = None
    if len(values) >= FEWEST_FOR_INTERVAL:
        interval = [float(value) for value in statistics.bootstrap_interval(values)]
    return {
        'median': float(convergence.quantile(values, 0.5)),
        'iqr': [float(convergence.quantile(values, q)) for q in (0.25, 0.75)],
        'interval': interval,
    }
