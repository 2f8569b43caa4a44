"""Several processes that train one model together: joining, waiting for each other, losing one."""

import contextlib
import glob
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
from absl import logging
from etils import epath

from train.errors import UserError
from train.runtime import sentinel

T = TypeVar('T')


# Short, so that a survivor ends soon after a peer died; the defaults wait for minutes.
HEARTBEAT_SECONDS = 15
SHUTDOWN_SECONDS = 10
# The first process holds the others together: where all end with an error, the others are to end before.
LAST_SECONDS = 1


PEER_LOST = 4  # exit code

# What the runtime's errors say when the other end of a collective is gone.
LOST = re.compile(
    r'gloo|closed by peer|reset by peer|heartbeat|coordination service|UNAVAILABLE', re.I
)


def join(
    coordinator_address: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Join the other processes where there are any; before anything else of JAX runs.

    The three values are given together, or none of them: then a Cloud TPU VM, or a cluster that JAX knows by its
    environment, says who takes part. Raises UserError for a part of them only.
    """
    given = [coordinator_address is not None, num_processes is not None, process_id is not None]
    if any(given) and not all(given):
        raise UserError(
            'Several processes need --coordinator_address, --num_processes and --process_id together, found '
            f'{coordinator_address}, {num_processes}, {process_id}.'
        )
    if not any(given) and not _environment_names_processes():
        return
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator_address,
            num_processes=num_processes,
            process_id=process_id,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except ValueError as error:
        raise UserError(
            f'The environment must say where the first process is, and does not ({error}); give '
            '--coordinator_address, --num_processes and --process_id.'
        ) from error
    logging.info('Process %d of %d.', jax.process_index(), jax.process_count())


def _environment_names_processes() -> bool:
    """Whether this is a TPU VM, or one task of several under Slurm or Open MPI."""
    on_tpu = bool(glob.glob('/dev/accel*') or glob.glob('/dev/vfio/[0-9]*'))
    sizes = [os.environ.get(name, '1') for name in ('SLURM_STEP_NUM_TASKS', 'OMPI_COMM_WORLD_SIZE')]
    return on_tpu or any(size.isdigit() and int(size) > 1 for size in sizes)


def is_first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Wait until every process has come here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def first_then_others(function: Callable[[], T], name: str) -> T:
    """`function()` on the first process, then on the others: what the first one prepares, they find."""
    if is_first():
        value = function()
        barrier(name)
        return value
    barrier(name)
    return function()


def leave(exit_code: int) -> None:
    """End this process of several with an exit code; nothing for a single process.

    An orderly end would wait for the others, which may not be ending, and is itself ended by the runtime then.
    """
    if not jax.distributed.is_initialized() or jax.process_count() == 1:
        return
    if is_first():
        time.sleep(LAST_SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def peer_lost(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that another process of the run is gone."""
    while error is not None and jax.process_count() > 1:
        if LOST.search(str(error)):
            return True
        error = error.__cause__
    return False


@contextlib.contextmanager
def leaving_when_alone(workdir: epath.PathLike) -> Iterator[None]:
    """Ends this process at once, with one sentence, when a peer is gone; nothing for a single process.

    An orderly shutdown, of the checkpoints for example, would wait for the peer. Where an error says that the peer is
    gone, this process says so; where the runtime ends it first, its sentinel does. Any other error goes on.
    """
    if jax.process_count() == 1:
        yield
        return
    name = f'Process {jax.process_index()} of {jax.process_count()}'
    with sentinel.watching(workdir, name) as dismiss:
        try:
            yield
        except Exception as error:
            if not peer_lost(error):
                raise
            _say(
                name, error, workdir
            )  # while the sentinel is there, for the runtime may end this process meanwhile
            dismiss()
            os._exit(PEER_LOST)


def _say(name: str, error: Exception, workdir: epath.PathLike) -> None:
    reason = str(error).splitlines()[0]
    print(
        f'{name} lost another one and stops; the last checkpoint is of step {sentinel.last_checkpoint(workdir)}, and '
        f'the same command goes on from there ({reason}).',
        file=sys.stderr,
        flush=True,
    )
