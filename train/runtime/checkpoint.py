"""Checkpoints: the two latest and the best, each complete, checked when read.

One step holds `state` (arrays, without device axis) and `record` (JSON: stopping, position, config, data, checksum).
Which step is the best one, the newest record says; nothing outside the checksum has a part in it.
"""

import contextlib
import errno
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from flax import serialization
from orbax.checkpoint import checkpoint_managers

from train.errors import UserError
from train.runtime import buckets, kinds, processes
from train.step import parallel as on

Record = dict[str, Any]

# Of reading a file that may well be whole: what the system says, and what TensorStore does.
PASSING_ERRNOS = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOMEM, errno.EACCES}
PASSING = re.compile(r'\b(UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|PERMISSION_DENIED)\b')


def checksum(tree: Any, record: Record) -> int:
    """A 32-bit checksum over the bytes of all leaves, in the tree's order, and of a record as JSON."""
    value = zlib.crc32(json.dumps(record, sort_keys=True).encode())
    for leaf in jax.tree.leaves(tree):
        value = zlib.crc32(np.ascontiguousarray(leaf).view(np.uint8).data, value)
    return value


class _Best:
    """Preserves the best step, None while there is none."""

    step: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Whether each of the checkpoints is kept; Orbax's interface of such policies."""
        del context
        return [checkpoint.step == self.step for checkpoint in checkpoints]


class Checkpoints:
    """The checkpoints of a workdir; a context manager, since leaving it waits for the last save."""

    def __init__(self, workdir: epath.PathLike, *, read_only: bool = False) -> None:
        self._folder = epath.Path(workdir) / 'checkpoints'
        self._read_only = read_only
        self._best = _Best()
        if processes.is_first():
            self._folder.mkdir(parents=True, exist_ok=True)
        processes.barrier('checkpoints')
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        latest = checkpoint_managers.LatestN(2)
        # The state is the same on all processes, so the first one writes it alone and each reads by itself: Orbax then
        # has nothing to wait for that a lost process could keep it from.
        reads = self._read_only or not processes.is_first()
        me = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f'process{me}'
        )
        options = ocp.CheckpointManagerOptions(
            multiprocessing_options=alone,
            create=False,
            # Or it parses a file of metrics, if there is one beside a checkpoint.
            lightweight_initialize=True,
            preservation_policy=checkpoint_managers.AnyPreservationPolicy([latest, self._best]),
            # A reader must not take the save that a running process has under way for a leftover. It never saves
            # either; Orbax's `read_only` would add no more than two warnings each time.
            cleanup_tmp_directories=not reads,
        )
        return ocp.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> 'Checkpoints':
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            with self._writing():
                self._manager.close()
        except UserError as late:
            if error is None:
                raise
            logging.warning('%s', late)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns whatever the storage layers raise into one sentence; a save's error may come with a later call."""
        try:
            yield
        except Exception as error:
            raise UserError(
                f'a checkpoint could not be written to {self._folder} ({_first_line(error)}); '
                'make room, or give the rights: the earlier checkpoints stay usable and the same command goes on.'
            ) from error

    def save(self, step: int, state: Any, record: Record, *, best_step: int | None = None) -> None:
        """Write one checkpoint and drop what is neither one of the two latest nor `best_step`.

        state: a pytree of numpy arrays; record: JSON with the field `step`.
        """
        if not processes.is_first():
            return
        self._best.step = best_step
        tree = serialization.to_state_dict(state)
        with self._writing():
            saved = self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(tree),
                    record=ocp.args.JsonSave({**record, 'checksum': checksum(tree, record)}),
                ),
            )
        if not saved:
            raise RuntimeError(
                f'the checkpoint of step {step} was not written to {self._folder}; '
                f'steps there: {self.steps()}.'
            )

    def wait(self) -> None:
        """Return when the last save is on disk and every process sees it."""
        if processes.is_first():
            with self._writing():
                self._manager.wait_until_finished()
        processes.barrier('saved')
        if not processes.is_first():
            self._manager.close()
            self._manager = self._open()

    def steps(self) -> list[int]:
        """Steps on disk, oldest first."""
        return sorted(self._manager.all_steps())

    def restore(self, step: int, template: Any) -> tuple[Any, Record]:
        """(state, record) of one step; the state has the structure, shapes and dtypes of `template`.

        Raises whatever reading raises, and a ValueError where the checksum, the step or a shape does not match.
        """
        target = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(serialization.to_state_dict(target)),
                record=ocp.args.JsonRestore(),
            ),
        )
        record = dict(restored.record)
        stored = record.pop('checksum')
        computed = checksum(restored.state, record)
        if computed != stored:
            raise ValueError(f'the checksum of step {step} must be {stored}, found {computed}.')
        if record['step'] != step:
            raise ValueError(f'its record must be of step {step}, found {record["step"]}.')
        state = serialization.from_state_dict(target, restored.state)
        jax.tree_util.tree_map_with_path(_check_shape, target, state)
        return state, record

    def restore_best(self, template: Any, steps_per_epoch: int) -> tuple[Any, Record, int]:
        """(state, record, step) of the best epoch by the newest record, or of the newest step without any validation.

        State as in `restore`. A UserError where one of the two cannot be read, is missing, or contradicts the other.
        """
        newest = self.steps()[-1]
        state, record = self._restore_or_refuse(newest, template, 'newest')
        step = record['stopping']['best_epoch'] * steps_per_epoch or newest
        if step == newest:
            return state, record, step
        if step not in self.steps():
            raise UserError(
                f'{self._folder} must hold the best checkpoint, by the record of step {newest} that of step {step}, '
                f'found {self.steps()}; restore that folder from a copy, or name another.'
            )
        state, best = self._restore_or_refuse(step, template, 'best')
        claims = [[r['stopping'][name] for name in ('best_epoch', 'best')] for r in (record, best)]
        if claims[0] != claims[1]:
            raise UserError(
                f'the records in {self._folder} must agree on the best epoch and its loss, found {claims[0]} at step '
                f'{newest} and {claims[1]} at step {step}; restore that folder from a copy, or name another.'
            )
        return state, best, step

    def _restore_or_refuse(self, step: int, template: Any, which: str) -> tuple[Any, Record]:
        try:
            return self.restore(step, template)
        except Exception as error:  # whatever the storage layers raise for a damaged file
            raise UserError(
                f'the {which} checkpoint in {self._folder}, of step {step}, must belong to a run of this config and '
                f'cannot be read ({_first_line(error)}); restore that folder from a copy, or name another.'
            ) from error

    def warn_unless_readable(self, step: int, template: Any) -> None:
        """Say early that the best checkpoint is damaged or missing, which otherwise shows when all is trained."""
        try:
            self.restore(step, template)
        except Exception as error:  # whatever the storage layers raise for a damaged file
            logging.warning(
                'The best checkpoint, of step %d, cannot be read (%s); unless a better one follows, restore it from a '
                'copy before the run ends, which needs it.',
                step,
                _first_line(error),
            )

    def restore_latest(self, template: Any) -> tuple[Any, Record] | None:
        """(state, record) of the newest readable step, or None where there is no step.

        An unreadable step is moved to `bad-<step>` and the one before is tried; when none is left that can be read, a
        UserError says so.
        """
        tried = []
        for step in reversed(self.steps()):
            restored = self._try_restore(step, template)
            # One process that cannot read a step takes all of them to the one before.
            if on.all_processes_any(restored is None):
                tried.append(step)
                continue
            if tried:
                self._set_aside(tried)
                logging.warning('Going on from the checkpoint of step %d.', step)
            return restored
        if tried:
            raise UserError(
                f'none of the checkpoints {tried} in {self._folder} can be read as those of such a run; '
                'restore that folder from a copy, or give another --workdir to start anew.'
            )
        return None

    def _try_restore(self, step: int, template: Any) -> tuple[Any, Record] | None:
        """None where the step is damaged; a UserError where the storage or the memory is what fails, twice."""
        for last in (False, True):
            try:
                return self.restore(step, template)
            except Exception as error:  # whatever the storage layers raise for a damaged file
                if last and _passing(error):
                    raise UserError(
                        f'the checkpoint of step {step} in {self._folder} cannot be read now ({_first_line(error)}); '
                        'see to the storage and the memory of this machine: the same command then goes on from it.'
                    ) from error
                damage = error
        logging.warning('Checkpoint of step %d cannot be read (%s).', step, _first_line(damage))
        return None

    def _set_aside(self, steps: Sequence[int]) -> None:
        self._manager.close()
        processes.barrier('close checkpoints')
        for step in steps if processes.is_first() else ():
            self._folder.joinpath(str(step)).rename(_free_name(self._folder, f'bad-{step}'))
        processes.barrier('set aside')
        self._manager = self._open()


def _check_shape(path: tuple, expected: Any, restored: Any) -> None:
    if expected.shape != restored.shape:
        raise ValueError(
            f'{jax.tree_util.keystr(path)} must have shape {expected.shape}, found {restored.shape}.'
        )


def _free_name(folder: epath.Path, name: str) -> epath.Path:
    """`folder/name`, with a number behind it where that is taken."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f'{name}-{number}'
    return path


def _passing(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is of the machine and its storage rather than of the file."""
    while error is not None:
        if isinstance(error, OSError):
            if error.errno in PASSING_ERRNOS:
                return True
        elif isinstance(error, MemoryError) or buckets.lost(error) or PASSING.search(str(error)):
            return True
        error = error.__cause__
    return False


def _first_line(error: BaseException) -> str:
    return f'{type(error).__name__}: {error}'.splitlines()[0][:200]


@contextlib.contextmanager
def reading(workdir: epath.PathLike) -> Iterator[Checkpoints]:
    """The checkpoints of an existing workdir; a UserError where it holds none."""
    if not (epath.Path(workdir) / 'checkpoints').exists():
        raise UserError(
            f'{workdir} must hold a training run and has no checkpoints; give the folder that training printed.'
        )
    if kinds.kind(epath.Path(workdir)) == 'study':
        raise UserError(
            f'{workdir} must hold a single run and holds a study, whose results are in its study.json and tables; '
            'give the folder of a run of train.main.'
        )
    with Checkpoints(workdir, read_only=True) as checkpoints:
        if not checkpoints.steps():
            raise UserError(
                f'--workdir must hold at least one checkpoint, found none in {workdir}.'
            )
        yield checkpoints
