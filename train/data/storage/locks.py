"""One process at a time makes a dataset or a cache; the lock ends with its process, killed or not."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from absl import logging
from filelock import FileLock, Timeout


@contextlib.contextmanager
def locked(target: os.PathLike) -> Iterator[None]:
    """Hold the lock of something to be made in an existing directory; waits for other holders."""
    target = pathlib.Path(target)
    lock = FileLock(target.with_name(f'.{target.name}.lock'))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logging.info('Waiting for another process that prepares %s', target)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
