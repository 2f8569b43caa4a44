"""One process at a time makes a dataset or a cache; the lock ends with its process, killed or not."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from absl import logging


@contextlib.contextmanager
def locked(target: os.PathLike) -> Iterator[None]:
    """Hold the lock of something to be made in an existing directory; waits for other holders."""
    target = pathlib.Path(target)
    with open(target.with_name(f'.{target.name}.lock'), 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.info('Waiting for another process that prepares %s', target)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
