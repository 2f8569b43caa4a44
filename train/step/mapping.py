"""How one function runs on every device in one program: by `jax.pmap`, or by `jax.jit` of `jax.shard_map`.

Both see arrays with an axis for the devices and give the function one device's part, without that axis. All of
`jax.pmap` is here.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import jax
import numpy as np
from flax import jax_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = 'batch'

Devices = Sequence[jax.Device]
Axes = tuple[int | None, ...]  # of the devices, in each argument; None: the same for all of them
T = TypeVar('T')  # a pytree


class Program(Protocol):
    """What is compiled when it is first called, or only lowered."""

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        ...

    def lower(self, *arguments: Any) -> jax.stages.Lowered:
        """That of `jax.jit`: for shapes and dtypes alone, and for devices that need not be here."""
        ...


class Mapping(Protocol):
    """One of the two; `devices` are those of this process, on the host arrays have an axis for these alone."""

    def replicate(self, tree: T, devices: Devices) -> T:
        """A copy of the pytree on every device, with a leading device axis."""
        ...

    def place(self, tree: T, devices: Devices) -> T:
        """A pytree of host arrays whose leading axis is the device, each part on its own."""
        ...

    def over(
        self, function: Callable, devices: Devices, axes: Axes, *, donate: bool = False
    ) -> Program:
        """`function` on every device, its results with a leading device axis; donate: its first argument."""
        ...


@dataclasses.dataclass(frozen=True)
class Pmap:
    """By `jax.pmap`."""

    def replicate(self, tree: T, devices: Devices) -> T:
        """A copy of the pytree on every device, with a leading device axis."""
        # From the host, where a copy is made without a program for each shape.
        copies = jax_utils.replicate(jax.device_get(tree), devices)
        # Laid out as every program returns them: the layout is part of what a program is compiled for.
        return jax.pmap(lambda same: same, AXIS, devices=_explicit(devices))(copies)

    def place(self, tree: T, devices: Devices) -> T:
        """A pytree of host arrays whose leading axis is the device, each part on its own."""
        sharding = NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(AXIS))
        return jax.device_put(tree, sharding)

    def over(
        self, function: Callable, devices: Devices, axes: Axes, *, donate: bool = False
    ) -> Program:
        """`function` on every device, its results with a leading device axis; donate: its first argument."""
        return jax.pmap(
            function,
            axis_name=AXIS,
            in_axes=axes,
            donate_argnums=(0,) if donate else (),
            devices=_explicit(devices),
        )


@dataclasses.dataclass(frozen=True)
class ShardMap:
    """By `jax.shard_map` over a mesh of the devices of all processes, under `jax.jit`."""

    def replicate(self, tree: T, devices: Devices) -> T:
        """A copy of the pytree on every device, with a leading device axis."""

        def copies(leaf: jax.typing.ArrayLike) -> np.ndarray:
            leaf = np.asarray(leaf)
            return np.broadcast_to(leaf, (len(devices), *leaf.shape))

        return self.place(jax.tree.map(copies, tree), devices)

    def place(self, tree: T, devices: Devices) -> T:
        """A pytree of host arrays whose leading axis is the device, each part on its own."""
        return _global(tree, NamedSharding(_mesh(devices), PartitionSpec(AXIS)))

    def over(
        self, function: Callable, devices: Devices, axes: Axes, *, donate: bool = False
    ) -> Program:
        """`function` on every device, its results with a leading device axis; donate: its first argument."""
        mesh = _mesh(devices)
        specs = tuple(_spec(axis) for axis in axes)

        def part(*arguments: Any) -> Any:
            own = [
                tree if axis is None else jax.tree.map(lambda leaf, a=axis: leaf.squeeze(a), tree)
                for tree, axis in zip(arguments, axes, strict=True)
            ]
            return jax.tree.map(lambda leaf: leaf[None], function(*own))

        shardings = tuple(NamedSharding(mesh, spec) for spec in specs)
        jitted = jax.jit(
            jax.shard_map(
                part, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False
            ),
            in_shardings=shardings,
            donate_argnums=(0,) if donate else (),
        )
        return _OverMesh(jitted, shardings)


@dataclasses.dataclass(frozen=True)
class _OverMesh:
    """A program over a mesh whose arguments may lie on this process's host; a `Program`."""

    jitted: jax.stages.Wrapped
    shardings: tuple[NamedSharding, ...]

    def __call__(self, *arguments: Any) -> Any:
        return self.jitted(*map(_global, arguments, self.shardings))

    def lower(self, *arguments: Any) -> jax.stages.Lowered:
        return self.jitted.lower(*arguments)


PMAP = Pmap()
MAPPINGS: dict[str, Mapping] = {'pmap': PMAP, 'shard_map': ShardMap()}


def _spec(axis: int | None) -> PartitionSpec:
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS)


def _mesh(devices: Devices) -> Mesh:
    """The devices of this process, or those of all where all of this one's take part."""
    return Mesh(np.array(_explicit(devices) or jax.devices()), (AXIS,))


def _global(tree: T, sharding: NamedSharding) -> T:
    """What lies on this process's host as its part of arrays over the mesh; arrays on devices stay."""

    def leaf(values: Any) -> jax.Array:
        if isinstance(values, jax.Array):
            return values
        return jax.make_array_from_process_local_data(sharding, values)

    return jax.tree.map(leaf, tree)


def _explicit(devices: Devices) -> Devices | None:
    """None where all local devices take part, which is what several processes need."""
    return None if list(devices) == jax.local_devices() else devices
