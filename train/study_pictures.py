"""Pictures of studies as PNG bytes: curves with bands over seeds, metrics as grouped bars."""

import matplotlib.figure
import numpy as np

from train import study_metrics
from train.writers import figure_png

BARS = study_metrics.PUBLISHED


def curves(studies):
    """Validation loss against the epoch: median over seeds, with the band of all and of the middle half."""
    figure = matplotlib.figure.Figure(figsize=(7, 4.5))
    axes = figure.add_subplot()
    for number, study in enumerate(studies):
        losses = np.ma.masked_invalid(np.array(study['val'], np.float64))
        epochs = np.arange(1, losses.shape[1] + 1)
        filled = losses.filled(np.nan)
        alive = np.isfinite(filled).any(axis=0)
        low, first, median, third, high = np.nanpercentile(
            filled[:, alive], [0, 25, 50, 75, 100], axis=0
        )
        colour = f'C{number}'
        axes.plot(epochs[alive], median, color=colour, label=f'{study["model"]} {study["dataset"]}')
        axes.fill_between(epochs[alive], first, third, color=colour, alpha=0.3, linewidth=0)
        axes.fill_between(epochs[alive], low, high, color=colour, alpha=0.15, linewidth=0)
        if study.get('entropy') is not None:
            axes.axhline(study['entropy'], color=colour, linestyle=':', linewidth=1)
    axes.set_xlabel('epoch')
    axes.set_ylabel('validation loss, nats')
    axes.legend()
    return figure_png(figure)


def bars(studies):
    """The published metrics of each study side by side, mean over seeds with standard deviations."""
    figure = matplotlib.figure.Figure(figsize=(9, 5))
    axes = figure.add_subplot()
    width = 0.8 / len(studies)
    for number, study in enumerate(studies):
        published = study['metrics']['published']
        means, errors = zip(*[published.get(name, (np.nan, 0)) for name in BARS], strict=True)
        positions = np.arange(len(BARS)) + number * width
        label = f'{study["model"]} {study["dataset"]}'
        axes.bar(positions, means, width, yerr=errors, capsize=3, label=label)
    axes.set_xticks(np.arange(len(BARS)) + 0.4 - width / 2, BARS)
    axes.set_ylabel('mean over seeds')
    axes.legend()
    return figure_png(figure)
