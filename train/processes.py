"""Several processes that train one model together: joining, waiting for each other, losing one."""

import glob
import os
import re
import sys

import jax
from absl import logging

from train.errors import UserError

# Short, so that a survivor ends soon after a peer died; the defaults wait for minutes.
HEARTBEAT_SECONDS = 15
SHUTDOWN_SECONDS = 10


PEER_LOST = 4  # exit code

# What the runtime's errors say when the other end of a collective is gone.
LOST = re.compile(
    r'gloo|closed by peer|reset by peer|heartbeat|coordination service|UNAVAILABLE', re.I
)


def join(coordinator_address, num_processes, process_id):
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
    jax.distributed.initialize(
        coordinator_address=coordinator_address,
        num_processes=num_processes,
        process_id=process_id,
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        shutdown_timeout_seconds=SHUTDOWN_SECONDS,
    )
    logging.info('Process %d of %d.', jax.process_index(), jax.process_count())


def _environment_names_processes():
    """Whether this is a TPU VM, or one task of several under Slurm or Open MPI."""
    on_tpu = bool(glob.glob('/dev/accel*') or glob.glob('/dev/vfio/[0-9]*'))
    sizes = [os.environ.get(name, '1') for name in ('SLURM_NTASKS', 'OMPI_COMM_WORLD_SIZE')]
    return on_tpu or any(size.isdigit() and int(size) > 1 for size in sizes)


def is_first():
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def barrier(name):
    """Wait until every process has come here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def first_then_others(function, name):
    """`function()` on the first process, then on the others: what the first one prepares, they find."""
    if is_first():
        value = function()
        barrier(name)
        return value
    barrier(name)
    return function()


def leave_if_peer_lost(error, workdir):
    """End this process at once if an error of the runtime says that a peer is gone.

    An orderly shutdown would wait for the peer. Any other error is left to the caller.
    """
    if jax.process_count() == 1 or not LOST.search(str(error)):
        return
    folder = workdir / 'checkpoints'
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    step = max((int(name) for name in names if name.isdigit()), default=None)
    reason = str(error).splitlines()[0]
    print(
        f'Process {jax.process_index()} of {jax.process_count()} lost another one and stops; the last checkpoint is of '
        f'step {step}, and the same command goes on from there ({reason}).',
        file=sys.stderr,
        flush=True,
    )
    os._exit(PEER_LOST)
