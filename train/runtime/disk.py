"""A disk that fills up or goes away, a bucket that can no longer be reached."""

import contextlib
import errno
import pathlib
from collections.abc import Iterator

from etils import epath

from train.errors import UserError
from train.runtime import buckets

# What the system says of a disk, whatever the file.
FULL_OR_GONE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}


def _of_folder(error: Exception, workdir: epath.PathLike) -> bool:
    if not isinstance(error, OSError) or error.errno is None:
        return False
    in_folder = pathlib.PurePath(str(error.filename or workdir)).is_relative_to(str(workdir))
    return in_folder or error.errno in FULL_OR_GONE


@contextlib.contextmanager
def disk_errors(workdir: epath.PathLike) -> Iterator[None]:
    """A disk that fills up or goes away, or a bucket out of reach, ends the run with one sentence."""
    try:
        yield
    except Exception as error:
        if not _of_folder(error, workdir) and not (
            buckets.is_bucket(workdir) and buckets.lost(error)
        ):
            raise
        raise UserError(
            f'{workdir} can no longer be written ({error}); make room, or give the rights: the checkpoints there stay '
            'usable and the same command goes on from the last one.'
        ) from error
