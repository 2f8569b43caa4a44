"""A study's curves as numbers over its seeds: what describes convergence, with quartiles and bootstrap intervals."""

import numpy as np

from train import study_metrics, study_statistics

LONGEST_WINDOW = 20  # epochs of the slope


def per_seed(validation, train):
    """name -> (seeds,) values; (seeds, epochs) losses in nats.

    A diverged seed counts as infinitely bad, except in `best`. `area_under_curve` is above the lowest loss of any
    seed, one percent of which is the distance to a seed's own best in `epochs_to_within_1_percent`. Left out: `gap`
    where the training loss is not known, and `slope` after a single epoch.
    """
    finite = validation[np.isfinite(validation)]
    lowest = finite.min() if finite.size else 0.0
    found = {
        'best': study_metrics.best(validation),
        'best_epoch': study_metrics.best_epoch(validation),
        'last': study_metrics.last(validation),
        'area_under_curve': study_metrics.area_under_curve(validation, lowest),
        'epochs_to_within_1_percent': study_metrics.epochs_to_within(
            validation, 0.01 * abs(lowest)
        ),
    }
    if np.isfinite(train).any():
        found['gap'] = study_metrics.gap(validation, train)
    if validation.shape[1] > 1:
        window = max(2, min(LONGEST_WINDOW, validation.shape[1] // 5))
        found['slope'] = study_metrics.slope(validation, window)
    return found


def metrics(validation, train):
    """name -> {'median', 'iqr', 'interval'} of each of `per_seed`, the divergence rate, and the published metrics.

    `interval` is the bootstrap's 95 % of the median.
    """
    found = {
        name: {
            'median': float(study_metrics.quantile(values, 0.5)),
            'iqr': [float(study_metrics.quantile(values, q)) for q in (0.25, 0.75)],
            'interval': [float(v) for v in study_statistics.bootstrap_interval(values)],
        }
        for name, values in per_seed(validation, train).items()
    }
    found['divergence_rate'] = float(study_metrics.divergence_rate(validation))
    found['published'] = study_metrics.published_metrics(validation)
    return found
