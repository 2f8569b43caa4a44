"""The devices of a TPU slice that is not here, by the name of its shape, and of the machine that is."""

import dataclasses
import importlib.util
import math
import os
import re

import jax

from train.ahead.chips import CHIPS, Chip
from train.errors import UserError
from train.step.parallel import Devices

HERE = ('cpu', 'gpu')
# Without these libtpu asks a metadata server that only a TPU VM has, says on stderr what it did not find, and refuses a
# second process, as it would have to if there were chips to share.
WITHOUT_CHIPS = {
    'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
    'TPU_SKIP_MDS_QUERY': '1',
    'TPU_ACCELERATOR_TYPE': 'v5litepod-8',
    'TPU_WORKER_HOSTNAMES': 'localhost',
    'TPU_WORKER_ID': '0',
    'TPU_MIN_LOG_LEVEL': '3',
    'TPU_STDERR_LOG_LEVEL': '3',
}


@dataclasses.dataclass(frozen=True)
class Topology:
    """Devices to compile for.

    name: as given. chip, shape: of a TPU slice; None and () for the devices that are here, of whose limits nothing is
    known.
    """

    name: str
    devices: Devices
    chip: Chip | None = None
    shape: tuple[int, ...] = ()

    @property
    def links(self) -> int:
        """Links of the chip that has the fewest within the slice; 0 of a single chip."""
        return sum(0 if size == 1 else 2 if self._is_ring(size) else 1 for size in self.shape)

    def _is_ring(self, size: int) -> bool:
        return self.chip is not None and size % self.chip.wraps == 0


def find(name: str) -> Topology:
    """The topology of a name: 'v5e:2x4', or 'cpu' or 'gpu' for what is here.

    JAX must not have been used before: for a TPU slice all that runs here runs on the CPU. Raises UserError.
    """
    if name in HERE:
        return Topology(name, _here(name))
    chip, shape = _parsed(name)
    if importlib.util.find_spec('libtpu') is None:
        raise UserError(
            f"--topology={name} is compiled for by libtpu, which is not installed: pip install 'likelihood-zoo[tpu]' "
            '(Linux on x86-64), or use --topology=cpu.'
        )
    return Topology(name, _slice(name, chip, shape), chip, shape)


def named(name: str) -> Topology:
    """A TPU slice by its name, without its devices; raises UserError."""
    return Topology(name, (), *_parsed(name))


def _parsed(name: str) -> tuple[Chip, tuple[int, ...]]:
    found = re.fullmatch(r'(\w+):(\d+(?:x\d+)*)', name)
    chip = CHIPS.get(found[1]) if found else None
    shape = tuple(int(size) for size in found[2].split('x')) if found else ()
    if chip is None or len(shape) != chip.axes or min(shape) < 1:
        known = ', '.join(f'{known} ({chip.axes} axes)' for known, chip in CHIPS.items())
        raise UserError(
            f'--topology must be cpu, gpu, or a chip and the shape of a slice such as v5e:2x4 or v4:2x2x1, with the '
            f'chips {known}; found {name!r}.'
        )
    return chip, shape


def _slice(name: str, chip: Chip, shape: tuple[int, ...]) -> Devices:
    os.environ.update({key: os.environ.get(key, value) for key, value in WITHOUT_CHIPS.items()})
    jax.config.update('jax_platforms', 'cpu')
    from jax.experimental import topologies

    sizes = (*shape, 1, 1)[:3]
    try:
        described = topologies.get_topology_desc(
            platform='tpu',
            topology_name=name,
            chip_config_name='megacore' if chip.megacore else 'default',
            chips_per_host_bounds=(1, 1, 1) if math.prod(shape) == 1 else (2, 2, 1),
            wrap=tuple(size % chip.wraps == 0 for size in sizes),
        )
    except jax.errors.JaxRuntimeError as error:
        reason = ' '.join(str(error).split())
        if reason.startswith('INVALID_ARGUMENT'):
            raise UserError(
                f'libtpu knows no slice {name} ({reason}); the first two axes are even, as in v5e:2x4 or v4:2x2x1, but '
                'for a single chip.'
            ) from error
        raise UserError(
            f'libtpu does not start ({reason}); see to that, or use --topology=cpu.'
        ) from error
    return tuple(described.devices)


def _here(platform: str) -> Devices:
    try:
        return tuple(jax.local_devices(backend=platform))
    except RuntimeError as error:
        raise UserError(
            f'--topology={platform} compiles for the devices of this machine, and JAX finds no {platform} here; use '
            '--topology=cpu, or a TPU slice such as v5e:2x4.'
        ) from error
