"""How one seed lies on all devices, or many are dealt out, and what runs there."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from train.data.batches import Shares
from train.errors import UserError
from train.step import sharding
from train.step.exchange import DIVIDED, WHOLE, Exchange
from train.step.mapping import AXIS, PMAP, Devices, Mapping, Program
from train.step.per_example import PerExample, Values
from train.step.randomness import Seeds
from train.step.state import TrainState

T = TypeVar('T')  # a pytree


def choose(num_devices: int) -> Devices:
    """The local devices to use; 0 means all of them."""
    devices = jax.local_devices()
    if not 0 <= num_devices <= len(devices):
        raise UserError(
            f'config.num_devices must be between 0 (all) and {len(devices)}, the devices of this process; '
            f'found {num_devices}.'
        )
    if num_devices and jax.process_count() > 1:
        raise UserError(
            f'config.num_devices works with one process only, found {jax.process_count()}; leave it at 0.'
        )
    return devices[: num_devices or None]


def first(tree: T) -> T:
    """The first device's copy, left there."""
    return _without_axis(_first_parts(tree))


def unreplicate(tree: T) -> T:
    """The first device's copy, on the host as numpy arrays of their own."""
    return jax.tree.map(lambda leaf: np.array(leaf[0]), jax.device_get(_first_parts(tree)))


def _first_parts(tree: T) -> T:
    """With their axis of devices, of length 1; what is divided among devices is put together on the host."""

    def of_leaf(leaf: Any) -> Any:
        return leaf.on_host()[None] if sharding.is_share(leaf) else leaf.addressable_shards[0].data

    return jax.tree.map(of_leaf, tree, is_leaf=sharding.is_share)


@jax.jit
def _without_axis(tree: T) -> T:
    """In one program for all leaves."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def evaluated(state: TrainState) -> TrainState:
    """The first device's copy of what evaluation uses, left there: `first` without the optimiser's state."""
    return first(state.replace(opt_state=None))


SEED_AXES = {
    'map': jax.lax.map,
    'vmap': lambda function, arguments: jax.vmap(function)(arguments),
}


@dataclasses.dataclass(frozen=True)
class OneSeed:
    """The layout of a single run: every device has the state, and its part of each batch.

    divided: whether each device has a part of the optimiser's state and of the average in place of the whole.
    """

    devices: Devices
    seeds: tuple[Seeds, ...]
    mapping: Mapping = PMAP
    divided: bool = False

    @property
    def exchange(self) -> Exchange:
        """What devices exchange in a step."""
        return DIVIDED if self.divided else WHOLE

    @property
    def shares(self) -> Shares:
        """How a batch divides: among all devices of all processes."""
        count = jax.process_count()
        return Shares(len(self.devices) * count, jax.process_index(), count)

    def place(self, state: TrainState) -> TrainState:
        """A state on the devices."""
        if not self.divided:
            return self.mapping.replicate(state, self.devices)
        shared, kept = sharding.taken_apart(state)
        parts = sharding.place(kept, self.mapping, self.devices, self.shares)
        return self.mapping.replicate(shared, self.devices).replace(**parts)

    def placed(self, template: TrainState) -> TrainState:
        """The shapes and dtypes of what `place` returns, from those of a state."""
        if not self.divided:
            return _with_axes(template, len(self.devices))
        shared, kept = sharding.taken_apart(template)
        parts = sharding.placed(kept, len(self.devices), self.shares)
        return _with_axes(shared, len(self.devices)).replace(**parts)

    def fetch(self, state: TrainState) -> TrainState:
        """The inverse of `place`: a state on the host."""
        return unreplicate(state)

    def deal(self, rows: np.ndarray) -> np.ndarray:
        """Batches (steps, 1, B) -> (steps, local devices, B / devices)."""
        return self.shares.of(rows[:, 0])

    def train_call(self, step: Callable) -> Program:
        """`call(state, batch, indices) -> (state, outcome)`: a chunk of micro-steps on every device in one program.

        state: placed, donated. batch: (steps, devices, B / devices, D); indices likewise without D. outcome: sums and
        counts over the chunk, and `bad_step`; every leaf has a leading device axis.
        """

        def chunk(
            state: TrainState, batch: jax.Array, indices: jax.Array
        ) -> tuple[TrainState, Any]:
            state, metrics = jax.lax.scan(
                lambda state, rows: step(state, *rows), state, (batch, indices)
            )
            metrics = jax.tree.map(lambda values: values.sum(axis=0), metrics)
            return state, (metrics, state.bad_step)

        return self.mapping.over(chunk, self.devices, (0, 1, 1), donate=True)

    def collect(self, outcome: Any) -> tuple[dict, int]:
        """Of a call: name -> (sum, count), and the first step that broke what trains here, -1 while there is none."""
        metrics, bad_step = unreplicate(outcome)
        return metrics, int(bad_step)

    def per_example_call(self, function: Callable) -> PerExample:
        """`call(state, raw, indices, mask, split) -> {name: (B,)}` on the host, the same values on every process.

        function: (state, raw, indices, mask, split) -> {name: (b,)}, run on each device's share of the rows, which have
        a leading device axis. The values of all devices are gathered, so that every process reduces the same numbers.
        """

        def gathered(state: TrainState, *rows: jax.Array) -> dict[str, jax.Array]:
            state = sharding.with_whole_average(state)
            values = _of_shape(rows[0].shape[:1], function(state, *rows))
            return jax.lax.all_gather(values, AXIS, tiled=True)

        program = self.mapping.over(gathered, self.devices, (0, 0, 0, 0, 0))
        return PerExample(program, lambda rows: rows, unreplicate)


@dataclasses.dataclass(frozen=True)
class ManySeeds:
    """The layout of a study: every device has some of the seeds, and whole batches of each; methods as of `OneSeed`.

    seeds: as many as divide among the devices. axis: of SEED_AXES, how the seeds of one device run.
    """

    devices: Devices
    seeds: tuple[Seeds, ...]
    axis: str
    mapping: Mapping = PMAP
    shares = Shares()
    exchange = WHOLE

    def place(self, state: TrainState) -> TrainState:
        """A state with a leading axis of seeds, but for what they share: dealt out, the latter to each device."""
        own, shared = state.divided()
        count = len(self.devices)
        dealt = jax.tree.map(lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:]), own)
        shared = self.mapping.replicate(shared, self.devices)
        return self.mapping.place(dealt, self.devices).replace(**shared)

    def placed(self, template: TrainState) -> TrainState:
        """The shapes and dtypes of what `place` returns, from those of the state of one seed."""
        own, shared = template.divided()
        count = len(self.devices)
        own = _with_axes(own, count, len(self.seeds) // count)
        return own.replace(**_with_axes(shared, count))

    def fetch(self, state: TrainState) -> TrainState:
        """The inverse of `place`."""
        own, shared = state.divided()
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.device_get(own))
        return flat.replace(**unreplicate(shared))

    def deal(self, rows: np.ndarray) -> np.ndarray:
        """Batches (steps, seeds, B) -> (steps, devices, seeds / devices, B)."""
        return rows.reshape(len(rows), len(self.devices), -1, rows.shape[-1])

    def train_call(self, step: Callable) -> Program:
        """`call`: a chunk of micro-steps of many seeds in one program.

        Batches as dealt out, (steps, devices, seeds / devices, B, D). outcome: sums and counts over the chunk,
        (devices, seeds / devices).
        """

        def bound(state: TrainState, rows: tuple[jax.Array, ...]) -> tuple[TrainState, Any]:
            """One step with axis `batch` bound, of size one: no collective goes between seeds."""
            out = jax.vmap(lambda: step(state, *rows), axis_name=AXIS, axis_size=1)()
            return jax.tree.map(lambda leaf: leaf[0], out)

        def chunk(
            state: TrainState, batch: jax.Array, indices: jax.Array
        ) -> tuple[TrainState, Any]:
            own, shared = state.divided()

            def one_seed(arguments: tuple[Any, ...]) -> tuple[TrainState, Any]:
                own, *rows = arguments
                state, metrics = jax.lax.scan(bound, own.replace(**shared), tuple(rows))
                return state.divided()[0], jax.tree.map(lambda values: values.sum(axis=0), metrics)

            rows = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), (batch, indices))
            own, metrics = SEED_AXES[self.axis](one_seed, (own, *rows))
            shared['step'] += len(batch)
            return own.replace(**shared), metrics

        return self.mapping.over(chunk, self.devices, (0, 1, 1), donate=True)

    def collect(self, outcome: Any) -> tuple[dict, int]:
        """Sums and counts are (seeds,). A seed that breaks stands still and leaves the others alone, hence -1."""
        return jax.tree.map(lambda leaf: leaf.reshape(-1), jax.device_get(outcome)), -1

    def per_example_call(self, function: Callable) -> PerExample:
        """`call` gives {name: (seeds, B)}; the rows, a device axis of one before them, are the same for all seeds."""

        def each_seed(state: TrainState, *rows: jax.Array) -> dict[str, jax.Array]:
            own, shared = state.divided()
            shape = rows[0].shape[:1]
            return jax.lax.map(
                lambda own: _of_shape(shape, function(own.replace(**shared), *rows)), own
            )

        program = self.mapping.over(each_seed, self.devices, (0, None, None, None, None))

        def of_seeds(values: dict[str, jax.Array]) -> Values:
            fetched = jax.device_get(values)
            return {name: value.reshape(-1, value.shape[-1]) for name, value in fetched.items()}

        return PerExample(program, lambda rows: tuple(part[0] for part in rows), of_seeds)


Layout = OneSeed | ManySeeds


def _of_shape(shape: tuple[int, ...], values: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The named values; a ValueError where one of them has another shape."""
    for name, value in values.items():
        if value.shape != shape:
            raise ValueError(
                f'per-example values must have shape {shape}, found {value.shape} for `{name}`.'
            )
    return values


def all_processes_any(flag: bool) -> bool:
    """True on every process if `flag` is true on any of them."""
    if jax.process_count() == 1:
        return bool(flag)
    from jax.experimental import multihost_utils

    return bool(jnp.any(multihost_utils.process_allgather(jnp.asarray(flag))))


def _with_axes(template: T, *sizes: int) -> T:
    """The shapes of a pytree with leading axes of these sizes."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((*sizes, *leaf.shape), leaf.dtype), template
    )
