"""The part of a study that moves: many seeds' states, and what each of them has been through."""

import dataclasses
from typing import Any

import jax
import numpy as np

from train.step.stopping import Stopping


@dataclasses.dataclass(frozen=True)
class StudySession:
    """A value, rebound as the study goes on; the leading axis of all is the seed, padded to the devices.

    A checkpoint holds the study's own seeds alone, so that a study goes on with any number of devices: `resized`.

    state: TrainState on the devices, see `train.step.parallel.study_call`. best: the variables of each seed's best
    epoch, on the host. curves: name -> seeds x epochs in nats of data space, nan from the epoch on in which a seed
    diverged; a seed that stopped keeps its last losses. diverged: the epoch in which a seed's numbers broke, or None.
    """

    state: Any
    best: Any
    stoppings: tuple
    diverged: tuple
    curves: dict
    step: int = 0
    sums: dict = dataclasses.field(default_factory=dict)

    def record(self):
        """What of this a checkpoint keeps as JSON."""
        return {
            'step': self.step,
            'sums': self.sums,
            'stoppings': [dataclasses.asdict(stopping) for stopping in self.stoppings],
            'diverged': list(self.diverged),
            'curves': self.curves,
        }

    @classmethod
    def from_record(cls, state, best, record):
        """The inverse of `record`, around arrays."""
        return cls(
            state=state,
            best=best,
            stoppings=tuple(Stopping(**fields) for fields in record['stoppings']),
            diverged=tuple(record['diverged']),
            curves=record['curves'],
            step=record['step'],
            sums=record['sums'],
        )

    @property
    def running(self):
        """(seeds,) bool: whether a seed still trains."""
        return np.array(
            [
                epoch is None and not stopping.should_stop
                for epoch, stopping in zip(self.diverged, self.stoppings, strict=True)
            ]
        )


def resized(rows, count):
    """`count` of the rows of a list or an array: the first ones, and the last again where there are too few."""
    kept = [min(row, len(rows) - 1) for row in range(count)]
    return rows[kept] if isinstance(rows, np.ndarray) else [rows[row] for row in kept]


def resized_record(record, count):
    """A `StudySession.record` for `count` seeds."""
    return {
        'step': record['step'],
        'sums': {
            name: [resized(part, count) for part in pair] for name, pair in record['sums'].items()
        },
        'stoppings': resized(record['stoppings'], count),
        'diverged': resized(record['diverged'], count),
        'curves': {name: resized(curves, count) for name, curves in record['curves'].items()},
    }


def add(sums, metrics):
    """The sums with one call's metrics (name -> (sum, count), each (seeds,)) added, in float64."""
    total = dict(sums)
    for name, pair in metrics.items():
        pair = np.asarray(pair, np.float64)
        total[name] = (pair + np.asarray(total.get(name, 0.0))).tolist()
    return total


def means(sums):
    """name -> (seeds,) mean, nan where nothing was counted."""
    found = {}
    for name, (total, count) in sums.items():
        total, count = np.asarray(total), np.asarray(count)
        found[name] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return found


def take_improved(best, candidates, improved):
    """Each seed's row of `candidates` where it improved, of `best` elsewhere; pytrees with leading axis (seeds,)."""

    def choose(old, new):
        return np.where(improved.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, best, candidates)


def extend(curves, **values):
    """The curves with one more epoch."""
    return {
        name: [
            [*curve, float(value)] for curve, value in zip(curves[name], values[name], strict=True)
        ]
        for name in curves
    }
