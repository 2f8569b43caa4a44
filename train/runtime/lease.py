"""One run at a time in a workdir.

The lease is a small file with host, process and heartbeat. It holds while its process lives, as far as that can be
seen: on the same host the process table says, from another host a heartbeat that is too old frees it. Between two that
start at once the kernel decides on a local disk, by a lock that ends with its process, and a bucket by taking one write
only of those that found the same file.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn, Self

import psutil
from absl import logging
from etils import epath
from filelock import FileLock, Timeout

from train.errors import UserError
from train.runtime import buckets

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
        in_bucket = buckets.is_bucket(self._path)
        found = buckets.generation(self._path) if in_bucket else None
        free = in_bucket or self._take_lock()
        holder = self._holder()
        if not free or (holder is not None and _alive(holder)):
            self._refuse(holder)
        if found is None:
            self._write()
        elif not buckets.write_unless_changed(self._path, self._content(), found):
            self._refuse(self._holder())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._path.unlink(missing_ok=True)
        except Exception as error:
            if not (buckets.is_bucket(self._path) and buckets.lost(error)):
                raise
            logging.warning('%s stays, and is out of date soon: %s', self._path, error)
        self._release_lock()

    def _refuse(self, holder: Mapping[str, Any] | None) -> NoReturn:
        by = f'process {holder["pid"]} on {holder["host"]}' if holder else 'another process'
        self._release_lock()
        raise UserError(
            f'{self._path.parent} is in use by {by}; wait for it, stop it, or give another --workdir.'
        )

    def _take_lock(self) -> bool:
        """Take the kernel's lock on a local disk; False where another process has it."""
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

    def _content(self) -> str:
        return json.dumps({**self._owner, 'heartbeat': time.time()})

    def _write(self) -> None:
        if buckets.is_bucket(self._path):
            self._path.write_text(self._content())
            return
        partial = self._path.parent / f'{self._path.name}.{os.getpid()}.tmp'
        try:
            partial.write_text(self._content())
            partial.replace(self._path)
        except OSError as error:
            raise _unwritable(self._path.parent, error) from error

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                self._write()
            except Exception as error:  # a disk's or a bucket's: the next one may come through
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
