"""Workdirs in buckets of Google Cloud Storage, gs://: what differs there from a disk.

A file is an object: it is there once it is whole, writing it again replaces it in one step, and nothing can be appended
to or renamed. There are no folders, only names that begin alike, and no locks of the kernel.
"""

import os

from etils import epath

from train.errors import UserError

# Orbax's mark of a checkpoint that is whole, since it cannot rename a folder into place.
COMMITTED = 'commit_success.txt'
# Of these packages are the errors of reading and writing objects.
ACCESS = {'aiohttp', 'gcsfs', 'google', 'requests'}


def is_bucket(path: os.PathLike | str) -> bool:
    """Whether a path names objects in a store rather than files on a disk."""
    return '://' in os.fspath(path)


def check_reachable(workdir: epath.Path) -> None:
    """Refuse a bucket that cannot be reached from here, or that checkpoints cannot be written to."""
    if not is_bucket(workdir):
        return
    if not str(workdir).startswith('gs://'):
        raise UserError(
            'A run lies on a disk or in a bucket of Google Cloud Storage, gs://, for Orbax writes checkpoints to no '
            f'other store; found {workdir}: give one of those, or mount the store.'
        )
    require_libraries(workdir)
    from google.cloud import storage

    try:
        # As Orbax asks, under the same credentials.
        storage.Client().get_bucket(_split(workdir)[0])
        workdir.exists()
    except Exception as error:  # whatever the access to buckets raises
        reason = f'{type(error).__name__}: {error}'.splitlines()[0]
        raise UserError(
            f'{workdir} must be in reach ({reason}); see to the name, the network and the rights: to read, write, list '
            'and delete objects, and storage.buckets.get.'
        ) from error


def require_libraries(path: os.PathLike | str) -> None:
    """Refuse gs:// where what reads and writes it is not installed."""
    if not os.fspath(path).startswith('gs://'):
        return
    try:
        import gcsfs  # noqa: F401
        import google.cloud.storage  # noqa: F401
    except ImportError as error:
        raise UserError(
            f'{path} needs the libraries of Google Cloud Storage ({error}); install them by '
            "pip install 'likelihood-zoo[cloud]'."
        ) from error


def generation(path: epath.Path) -> int:
    """The number of the last write of an object, 0 where there is none."""
    from google.cloud import storage

    bucket, name = _split(path)
    blob = storage.Client().bucket(bucket).get_blob(name)
    return blob.generation if blob else 0


def write_unless_changed(path: epath.Path, text: str, since: int) -> bool:
    """Write an object whose `generation` is still `since`; False, and nothing is written, where it is another.

    Of two processes that call this at once, one gets True.
    """
    from google.api_core.exceptions import PreconditionFailed
    from google.cloud import storage

    bucket, name = _split(path)
    try:
        storage.Client().bucket(bucket).blob(name).upload_from_string(
            text, if_generation_match=since
        )
    except PreconditionFailed:
        return False
    return True


def lost(error: BaseException) -> bool:
    """Whether an error says that objects can no longer be read or written."""
    return type(error).__module__.partition('.')[0] in ACCESS or isinstance(error, OSError)


def _split(path: epath.Path) -> tuple[str, str]:
    """(bucket, name of the object in it)."""
    bucket, _, name = str(path).removeprefix('gs://').partition('/')
    return bucket, name
