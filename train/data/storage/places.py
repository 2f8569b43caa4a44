"""Where datasets and caches lie on this machine."""

import os
import pathlib

from etils import epath

from train.data.base import Config
from train.errors import UserError
from train.runtime.buckets import is_bucket, require_libraries
from train.runtime.environment import APPLICATION, user_cache


def data_roots(config: Config) -> list[epath.Path]:
    """The TFDS data directories to look in, in order, without repeats."""
    named = [root for root in (config.data_dir, os.environ.get('TFDS_DATA_DIR')) if root]
    for root in named:
        require_libraries(root)
    roots = [epath.Path(root).expanduser() for root in named]
    roots += [epath.Path('~/tensorflow_datasets').expanduser(), epath.Path(_fallback_root())]
    return list(dict.fromkeys(roots))


def target_root(config: Config) -> pathlib.Path:
    """Where to prepare into: the first data root, or the user's cache if that is read-only."""
    first = data_roots(config)[0]
    return pathlib.Path(first) if is_writable(first) else _fallback_root()


def cache_directories(config: Config, root: os.PathLike | None = None) -> list[pathlib.Path]:
    """The directories a cache may lie in, the one to write to first.

    `root` is the data root of the prepared dataset; None while it is not known, and then beside
    every data root.
    """
    if config.cache_dir:
        if is_bucket(config.cache_dir):
            raise UserError(
                'cache_dir must be a local directory, to be memory-mapped; '
                f'found {config.cache_dir!r}.'
            )
        return [pathlib.Path(config.cache_dir).expanduser().absolute()]
    beside = [root] if root is not None else data_roots(config)
    directories = [pathlib.Path(place) / APPLICATION for place in beside if not is_bucket(place)]
    own = user_cache() / 'arrays'
    if root is not None and not (directories and is_writable(directories[0])):
        return [own, *directories]
    return [*directories, own]


def fits_directory(config: Config) -> pathlib.Path:
    """Where fitted preprocessing is kept: under `cache_dir`, else in the user's cache."""
    if config.cache_dir:
        return cache_directories(config)[0] / 'fits'
    return user_cache() / 'fits'


def is_writable(path: os.PathLike | str) -> bool:
    """Whether files can be made in a local directory, which need not exist yet."""
    if is_bucket(path):
        return False
    path = pathlib.Path(path).absolute()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _fallback_root() -> pathlib.Path:
    return user_cache() / 'tensorflow_datasets'
