"""What a side does in a turn. Needs nothing but NumPy, so that every library's process can import it."""

import dataclasses
import json
import sys

import numpy as np

LAYERS, BINS, BOUND, RATE = 5, 8, 3.0, 1e-3


@dataclasses.dataclass(frozen=True)
class Task:
    """`LAYERS` layers of a flow, whose networks have two hidden layers of ReLU.

    flow: 'maf', masked affine layers with the order reversed in between, or 'rq_nsf', spline couplings by turns of
        one half and the other.
    features: D.
    hidden: units of a hidden layer.
    work: 'train', updates by Adam, or 'sample'.
    steps: updates in a turn.
    rows: in a batch, or drawn in a turn.
    """

    flow: str
    features: int
    hidden: int
    work: str
    steps: int
    rows: int

    def batches(self) -> np.ndarray:
        """Standard normal rows, (steps, rows, features), float32."""
        shape = (self.steps, self.rows, self.features)
        return np.random.default_rng(0).standard_normal(shape, np.float32)


def from_arguments() -> Task:
    """The task that the process was started with."""
    return Task(**json.loads(sys.argv[1]))
