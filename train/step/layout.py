"""How what trains together lies on the devices: one seed over all of them, or many seeds dealt out among them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np

from train.data.batches import Shares
from train.step import parallel as on
from train.step.randomness import Seeds
from train.step.state import TrainState

Values = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class OneSeed:
    """A single run: every device has the state, and its part of each batch."""

    devices: on.Devices
    seeds: tuple[Seeds, ...]

    @property
    def shares(self) -> Shares:
        """How a batch divides: among all devices of all processes."""
        count = jax.process_count()
        return Shares(len(self.devices) * count, jax.process_index(), count)

    def place(self, state: TrainState) -> TrainState:
        """A state on the devices."""
        return on.replicate(state, self.devices)

    def fetch(self, state: TrainState) -> TrainState:
        """The inverse of `place`: a state on the host."""
        return on.unreplicate(state)

    def deal(self, rows: np.ndarray) -> np.ndarray:
        """Batches (steps, 1, B) -> (steps, local devices, B / devices)."""
        return self.shares.of(rows[:, 0])

    def train_call(self, step: Callable) -> Callable:
        """`call(state, batch, indices) -> (state, outcome)`, see `train.step.parallel.train_call`."""
        return on.train_call(step, self.devices)

    def collect(self, outcome: Any) -> tuple[dict, int]:
        """Of a call: name -> (sum, count), and the first step that broke what trains here, -1 while there is none."""
        metrics, bad_step = on.unreplicate(outcome)
        return metrics, int(bad_step)

    def per_example_call(self, function: Callable) -> Callable[..., Values]:
        """`call(state, raw, indices, mask) -> {name: (B,)}` on the host; rows with a leading device axis, see `shares`.

        function: (state of one seed, raw (b, D), indices (b,), mask (b,)) -> {name: (b,)}.
        """
        call = on.per_example_call(function, self.devices)
        return lambda *arguments: on.unreplicate(call(*arguments))


@dataclasses.dataclass(frozen=True)
class ManySeeds:
    """A study: every device has some of the seeds, and whole batches of each; the methods are those of `OneSeed`.

    seeds: as many as divide among the devices. axis: 'map' or 'vmap', how the seeds of one device run.
    """

    devices: on.Devices
    seeds: tuple[Seeds, ...]
    axis: str
    shares = Shares()

    def place(self, state: TrainState) -> TrainState:
        """A state with a leading axis of seeds, but for what they share: dealt out, the latter to each device."""
        own, shared = state.divided()
        count = len(self.devices)
        dealt = jax.tree.map(lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:]), own)
        return on.place(dealt, self.devices).replace(**on.replicate(shared, self.devices))

    def fetch(self, state: TrainState) -> TrainState:
        """The inverse of `place`."""
        own, shared = state.divided()
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.device_get(own))
        return flat.replace(**on.unreplicate(shared))

    def deal(self, rows: np.ndarray) -> np.ndarray:
        """Batches (steps, seeds, B) -> (steps, devices, seeds / devices, B)."""
        return rows.reshape(len(rows), len(self.devices), -1, rows.shape[-1])

    def train_call(self, step: Callable) -> Callable:
        """See `train.step.parallel.study_call`."""
        return on.study_call(step, self.devices, self.axis)

    def collect(self, outcome: Any) -> tuple[dict, int]:
        """Sums and counts are (seeds,). A seed that breaks stands still and leaves the others alone, hence -1."""
        return jax.tree.map(lambda leaf: leaf.reshape(-1), jax.device_get(outcome)), -1

    def per_example_call(self, function: Callable) -> Callable[..., Values]:
        """`call` gives {name: (seeds, B)}."""
        call = on.study_per_example_call(function, self.devices)

        def of_seeds(state: TrainState, *rows: np.ndarray) -> Values:
            values = jax.device_get(call(state, *(part[0] for part in rows)))
            return {name: value.reshape(-1, value.shape[-1]) for name, value in values.items()}

        return of_seeds


Layout = OneSeed | ManySeeds


def one_seed(config: ml_collections.FrozenConfigDict, devices: on.Devices) -> OneSeed:
    """The layout of a single run."""
    return OneSeed(devices, (Seeds.of(config),))
