"""Everything that knows of `jax.pmap`: placing values on devices and running functions on all of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import jax_utils

from train.errors import UserError

AXIS = 'batch'

Devices = Sequence[jax.Device]
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


def replicate(tree: T, devices: Devices) -> T:
    """A copy of the pytree on every device, with a leading device axis."""
    copies = jax_utils.replicate(tree, devices)
    # Laid out as every program returns them: the layout is part of what a program is compiled for.
    return jax.pmap(lambda same: same, AXIS, devices=_explicit(devices))(copies)


def place(tree: T, devices: Devices) -> T:
    """A pytree of host arrays whose leading axis is the device, each part on its own."""
    mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))
    return jax.device_put(tree, sharding)


def first(tree: T) -> T:
    """The first device's copy, left there."""
    return jax.tree.map(lambda leaf: leaf.addressable_shards[0].data[0], tree)


def unreplicate(tree: T) -> T:
    """The first device's copy, on the host as numpy arrays."""
    return jax.device_get(first(tree))


def train_call(step: Callable, devices: Devices) -> Callable:
    """`call(state, batch, indices) -> (state, metrics)`: a chunk of micro-steps on every device in one program.

    state: replicated, donated. batch: (steps, devices, B / devices, D); indices likewise without D.
    metrics: sums and counts over the chunk, and `bad_step`; every leaf has a leading device axis.
    """

    def chunk(state, batch, indices):
        state, metrics = jax.lax.scan(
            lambda state, rows: step(state, *rows), state, (batch, indices)
        )
        metrics = jax.tree.map(lambda values: values.sum(axis=0), metrics)
        return state, (metrics, state.bad_step)

    return jax.pmap(
        chunk, axis_name=AXIS, in_axes=(0, 1, 1), donate_argnums=0, devices=_explicit(devices)
    )


def study_call(step: Callable, devices: Devices, seed_axis: str) -> Callable:
    """`call(state, batch, indices) -> (state, metrics)`: a chunk of micro-steps of many seeds in one program.

    state: leaves (devices, seeds / devices, ...), but `step` and the preprocessing, which are the same for all seeds,
    (devices, ...); donated. batch: (steps, devices, seeds / devices, B, D); indices likewise without D. metrics: sums
    and counts over the chunk, (devices, seeds / devices). seed_axis: 'map' or 'vmap', how the seeds of a device run.
    """
    over_seeds = SEED_AXES[seed_axis]

    def bound(state, rows):
        """One step with axis `batch` bound, of size one: no collective goes between seeds."""
        out = jax.vmap(lambda: step(state, *rows), axis_name=AXIS, axis_size=1)()
        return jax.tree.map(lambda leaf: leaf[0], out)

    def chunk(state, batch, indices):
        own, shared = state.divided()

        def one_seed(arguments):
            own, batch, indices = arguments
            state, metrics = jax.lax.scan(bound, own.replace(**shared), (batch, indices))
            return state.divided()[0], jax.tree.map(lambda values: values.sum(axis=0), metrics)

        rows = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), (batch, indices))
        own, metrics = over_seeds(one_seed, (own, *rows))
        shared['step'] += len(batch)
        return own.replace(**shared), metrics

    return jax.pmap(
        chunk, axis_name=AXIS, in_axes=(0, 1, 1), donate_argnums=0, devices=_explicit(devices)
    )


SEED_AXES = {
    'map': jax.lax.map,
    'vmap': lambda function, arguments: jax.vmap(function)(arguments),
}


def study_per_example_call(function: Callable, devices: Devices) -> Callable:
    """`call(state, raw, indices, mask) -> {name: (devices, seeds / devices, B)}` for a study's state.

    function: (state of one seed, raw (B, D), indices (B,), mask (B,)) -> {name: (B,)}. The rows are the same for all
    seeds.
    """

    def each_seed(state, *rows):
        own, shared = state.divided()
        return jax.lax.map(
            lambda own: _of_shape(rows[1].shape, function(own.replace(**shared), *rows)), own
        )

    return jax.pmap(each_seed, in_axes=(0, None, None, None), devices=_explicit(devices))


def per_example_call(function: Callable, devices: Devices) -> Callable:
    """`call(state, *rows) -> {name: (devices, B)}`, the same values on every device and process.

    function: (state, *rows) -> {name: (b,)}, run on each device's share of the rows, which have a leading device axis.
    The values of all devices are gathered, so that every process reduces the same numbers.
    """

    def gathered(state, *rows):
        values = _of_shape(rows[0].shape[:1], function(state, *rows))
        return jax.lax.all_gather(values, AXIS, tiled=True)

    return jax.pmap(gathered, axis_name=AXIS, devices=_explicit(devices))


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


def _explicit(devices: Devices) -> Devices | None:
    """pmap's `devices`: None where all local devices take part, which is what several processes need."""
    return None if len(devices) == jax.local_device_count() else devices
