"""The part of a run that moves: what a checkpoint holds and a resumed run starts from."""

import dataclasses
from typing import Any

import numpy as np

from train.step.stopping import Stopping


@dataclasses.dataclass(frozen=True)
class Session:
    """A value, rebound as training goes on.

    state: replicated TrainState; step: micro-steps taken; sums: metrics of the epoch under way, name -> [sum, count];
    rollbacks: one dict for each return to a checkpoint after numbers broke.
    """

    state: Any
    stopping: Stopping
    step: int = 0
    sums: dict = dataclasses.field(default_factory=dict)
    rollbacks: tuple = ()

    def record(self):
        """What of this a checkpoint keeps as JSON."""
        return {
            'step': self.step,
            'sums': self.sums,
            'stopping': dataclasses.asdict(self.stopping),
            'rollbacks': self.rollbacks,
        }

    @classmethod
    def from_record(cls, state, record):
        """The inverse of `record`, around a replicated state."""
        return cls(
            state=state,
            stopping=Stopping(**record['stopping']),
            step=record['step'],
            sums=record['sums'],
            rollbacks=tuple(record['rollbacks']),
        )


def add(sums, metrics):
    """The sums with one call's metrics (name -> (sum, count)) added, in float64."""
    total = dict(sums)
    for name, pair in metrics.items():
        before = np.asarray(total.get(name, (0.0, 0.0)), np.float64)
        total[name] = (before + np.asarray(pair, np.float64)).tolist()
    return total


def means(sums):
    """name -> sum / count, leaving out what was never counted."""
    return {name: value / count for name, (value, count) in sums.items() if count}
