"""How what trains together lies on the devices: one seed over all of them, or many seeds dealt out among them."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import ml_collections
import numpy as np

from train.data.batches import Shares
from train.step import parallel as on
from train.step.randomness import Seeds
from train.step.state import TrainState

Values = dict[str, np.ndarray]


class Layout(Protocol):
    """What the trainer and the evaluator know of seeds and devices.

    seeds: of what trains together. shares: how a batch of one seed divides among devices.
    """

    devices: on.Devices
    seeds: tuple[Seeds, ...]

    @property
    def shares(self) -> Shares: ...

    def place(self, state: TrainState) -> TrainState:
        """A host state, of all seeds, on the devices."""

    def fetch(self, state: TrainState) -> TrainState:
        """The inverse of `place`."""

    def deal(self, rows: np.ndarray) -> np.ndarray:
        """Batches (steps, seeds, B) as this process's devices take them, (steps, local devices, ...)."""

    def train_call(self, step: Callable) -> Callable:
        """`call(state, batch, indices) -> (state, outcome)`: a chunk of training steps on all devices."""

    def collect(self, outcome: Any) -> tuple[dict, int]:
        """Of a call: name -> (sum, count), and the first step that broke what trains here, -1 while there is none."""

    def per_example_call(self, function: Callable) -> Callable[..., Values]:
        """`call(state, raw, indices, mask)` -> name -> (B,), or (seeds, B), on the host; the arguments as dealt out.

        function: (state of one seed, raw (b, D), indices (b,), mask (b,)) -> name -> (b,).
        """


@dataclasses.dataclass(frozen=True)
class OneSeed:
    """A single run: every device has the state, and its part of each batch."""

    devices: on.Devices
    seeds: tuple[Seeds, ...]

    @property
    def shares(self) -> Shares:
        """Among all devices of all processes."""
        count = jax.process_count()
        return Shares(len(self.devices) * count, jax.process_index(), count)

    def place(self, state: TrainState) -> TrainState:
        """See `Layout`."""
        return on.replicate(state, self.devices)

    def fetch(self, state: TrainState) -> TrainState:
        """See `Layout`."""
        return on.unreplicate(state)

    def deal(self, rows: np.ndarray) -> np.ndarray:
        """(steps, 1, B) -> (steps, local devices, B / devices)."""
        return self.shares.of(rows[:, 0])

    def train_call(self, step: Callable) -> Callable:
        """See `train.step.parallel.train_call`."""
        return on.train_call(step, self.devices)

    def collect(self, outcome: Any) -> tuple[dict, int]:
        """See `Layout`; sums and counts are scalars."""
        metrics, bad_step = on.unreplicate(outcome)
        return metrics, int(bad_step)

    def per_example_call(self, function: Callable) -> Callable[..., Values]:
        """See `Layout`; values are (B,)."""
        call = on.per_example_call(function, self.devices)
        return lambda *arguments: on.unreplicate(call(*arguments))


@dataclasses.dataclass(frozen=True)
class ManySeeds:
    """A study: every device has some of the seeds, and whole batches of each.

    seeds: as many as divide among the devices. axis: 'map' or 'vmap', how the seeds of one device run.
    """

    devices: on.Devices
    seeds: tuple[Seeds, ...]
    axis: str

    @property
    def shares(self) -> Shares:
        """A batch is not divided."""
        return Shares()

    def place(self, state: TrainState) -> TrainState:
        """Seeds are dealt out, what they share goes to each device."""
        own, shared = state.divided()
        count = len(self.devices)
        dealt = jax.tree.map(lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:]), own)
        shared = on.replicate(shared, self.devices)
        return on.place(dealt, self.devices).replace(**shared)

    def fetch(self, state: TrainState) -> TrainState:
        """A state with a leading axis of seeds, but for what they share."""
        own, shared = state.divided()
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.device_get(own))
        return flat.replace(**on.unreplicate(shared))

    def deal(self, rows: np.ndarray) -> np.ndarray:
        """(steps, seeds, B) -> (steps, devices, seeds / devices, B)."""
        return rows.reshape(len(rows), len(self.devices), -1, rows.shape[-1])

    def train_call(self, step: Callable) -> Callable:
        """See `train.step.parallel.study_call`."""
        return on.study_call(step, self.devices, self.axis)

    def collect(self, outcome: Any) -> tuple[dict, int]:
        """See `Layout`; sums and counts are (seeds,). A seed that breaks stands still and leaves the others alone."""
        return jax.tree.map(lambda leaf: leaf.reshape(-1), jax.device_get(outcome)), -1

    def per_example_call(self, function: Callable) -> Callable[..., Values]:
        """See `Layout`; values are (seeds, B)."""
        call = on.study_per_example_call(function, self.devices)

        def of_seeds(state: TrainState, *rows: np.ndarray) -> Values:
            values = jax.device_get(call(state, *(part[0] for part in rows)))
            return {name: value.reshape(-1, value.shape[-1]) for name, value in values.items()}

        return of_seeds


def one_seed(config: ml_collections.FrozenConfigDict, devices: on.Devices) -> OneSeed:
    """The layout of a single run."""
    return OneSeed(devices, (Seeds.of(config),))
