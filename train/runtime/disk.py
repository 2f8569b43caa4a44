"""A disk that fills up or goes away."""

import contextlib
from collections.abc import Iterator

from etils import epath

from train.errors import UserError


@contextlib.contextmanager
def disk_errors(workdir: epath.PathLike) -> Iterator[None]:
    """A disk that fills up or goes away ends the run with one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the system's word, but a library's
            raise
        raise UserError(
            f'{workdir} can no longer be written ({error}); make room, or give the rights: the checkpoints there stay '
            'usable and the same command goes on from the last one.'
        ) from error
