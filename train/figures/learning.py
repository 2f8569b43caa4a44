"""How a run learnt: its losses against the epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from train.step.losses import training_loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VALIDATION = (
    'validation_nll',
    'validation_negative_elbo',
)  # the loss of an exact model, of a bound


def curve(records: Sequence[Mapping[str, Any]]) -> 'Figure':
    """Training and validation loss against the epoch, from the lines of metrics.jsonl.

    The training loss of a model that logs only a part of it is left out.
    """
    import matplotlib.figure
    import matplotlib.ticker

    figure = matplotlib.figure.Figure(figsize=(7, 4))
    axes = figure.add_subplot()
    curves = {'training loss': {record['epoch']: training_loss(record) for record in records}}
    for name in VALIDATION:
        curves[name] = {record['epoch']: record.get(name) for record in records}
    values: list[float] = []
    for name, curve in curves.items():
        known = {epoch: value for epoch, value in curve.items() if value is not None}
        if known:
            axes.plot(list(known), list(known.values()), marker='.', label=name)
            values.extend(known.values())
    if len(records) == 1:
        axes.set_xlim(records[0]['epoch'] - 1, records[0]['epoch'] + 1)
    axes.set_xlabel('epoch')
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.set_ylabel('nats')
    finite = np.array(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) > 4:
        low, high = np.percentile(finite, [0, 90])
        axes.set_ylim(low - 0.05 * (high - low + 1e-9), high + 0.05 * (high - low + 1e-9))
    if values:
        axes.legend()
    return figure
