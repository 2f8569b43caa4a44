"""One run at a time in a workdir.

The lease is a small file with host, process and heartbeat. It holds while its process lives, as far as that can be
seen: on the same host the process table says, from another host a heartbeat that is too old frees it. On a local disk
the kernel decides between two that start at once, by a lock that ends with its process.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Self

import psutil
from absl import logging
from etils import epath
from filelock import FileLock, Timeout

from train.errors import UserError

HEARTBEAT_SECONDS = 20
STALE_SECONDS = 120


class Lease:
    """A context manager that holds `workdir/lease.json`; raises UserError where another run holds it."""

    def __init__(self, workdir: epath.Path) -> None:
        self._path = workdir / 'lease.json'
        self._lock: FileLock | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        process = psutil.Process()
        self._owner = {
            'host': socket.gethostname(),
            'pid': process.pid,
            'started': process.create_time(),
        }

    def __enter__(self) -> Self:
        free = self._take_lock()
        holder = self._holder()
        if not free or (holder is not None and _alive(holder)):
            by = f'process {holder["pid"]} on {holder["host"]}' if holder else 'another process'
            self._release_lock()
            raise UserError(
                f'{self._path.parent} is in use by {by}; wait for it, stop it, or give another --workdir.'
            )
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)
        self._release_lock()

    def _take_lock(self) -> bool:
        """Take the kernel's lock on a local disk; False where another process has it."""
        if '://' in os.fspath(self._path):
            return True
        self._lock = FileLock(self._path.parent / 'lease.lock')
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise _unwritable(self._path.parent, error) from error
        return True

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _holder(self) -> dict[str, Any] | None:
        """What the file says, or None where it is not there or damaged."""
        try:
            holder = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return holder if _is_whole(holder) else None

    def _write(self) -> None:
        partial = self._path.parent / f'{self._path.name}.{os.getpid()}.tmp'
        try:
            partial.write_text(json.dumps({**self._owner, 'heartbeat': time.time()}))
            partial.replace(self._path)
        except OSError as error:
            raise _unwritable(self._path.parent, error) from error

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                self._write()
            except UserError as error:
                logging.warning('The heartbeat of the workdir could not be written: %s', error)


def _unwritable(folder: epath.Path, error: OSError) -> UserError:
    return UserError(f'--workdir must be writable; {error.strerror or error}: {folder}.')


def _is_whole(holder: Any) -> bool:
    """Whether what the file says has all fields, with values that they can have."""
    kinds: dict[str, Any] = {
        'host': str,
        'pid': int,
        'started': int | float,
        'heartbeat': int | float,
    }
    if not isinstance(holder, dict) or not kinds.keys() <= holder.keys():
        return False
    typed = all(isinstance(holder[name], kind) for name, kind in kinds.items())
    return typed and 0 < holder['pid'] < 2**31


def _alive(holder: Mapping[str, Any]) -> bool:
    if holder['host'] != socket.gethostname():
        return time.time() - holder['heartbeat'] < STALE_SECONDS
    try:
        return abs(psutil.Process(holder['pid']).create_time() - holder['started']) < 1
    except psutil.NoSuchProcess:
        return False
