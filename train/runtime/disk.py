"""A disk that fills up or goes away, a bucket that can no longer be reached."""

import contextlib
from collections.abc import Iterator

from etils import epath

from train.errors import UserError
from train.runtime import buckets


@contextlib.contextmanager
def disk_errors(workdir: epath.PathLike) -> Iterator[None]:
    """A disk that fills up or goes away, or a bucket out of reach, ends the run with one sentence."""
    try:
        yield
    except Exception as error:
        on_disk = isinstance(error, OSError) and error.errno is not None  # the system's word
        if not on_disk and not (buckets.is_bucket(workdir) and buckets.lost(error)):
            raise
        raise UserError(
            f'{workdir} can no longer be written ({error}); make room, or give the rights: the checkpoints there stay '
            'usable and the same command goes on from the last one.'
        ) from error
