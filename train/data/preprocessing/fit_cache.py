"""Fits that take minutes are kept: found again by the content of the training split they come from."""

import hashlib
import os
import pathlib
import uuid
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import logging
from numpy.typing import ArrayLike

from train.data.base import Config
from train.data.storage import places
from train.data.storage.sources import Source, blocks
from train.errors import UserError

Arrays = dict[str, np.ndarray]
ROWS_PER_READ = 10_000
# What numpy and zipfile raise for archives that are damaged, found by damaging them.
DAMAGES = (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile)


def cached(
    config: Config, recipe: str, source: Source, compute: Callable[[], Mapping[str, ArrayLike]]
) -> Arrays:
    """The arrays {name: array} of `compute()`, from the cache where an equal fit is there.

    `recipe` (text) and the bytes of the training split identify a fit. A damaged file is made again.
    """
    path = places.fits_directory(config) / f'{_digest(recipe, source)}.npz'
    arrays = _read(path)
    if arrays is None:
        logging.info('Fitting the preprocessing; it is kept in %s', path)
        arrays = {name: np.asarray(array) for name, array in compute().items()}
        _write(path, arrays)
    return arrays


def _digest(recipe: str, source: Source) -> str:
    digest = hashlib.sha256(recipe.encode())
    for _, rows in blocks(source, ROWS_PER_READ):
        digest.update(f'{rows.dtype} {rows.shape}'.encode())
        digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()[:24]


def _read(path: pathlib.Path) -> Arrays | None:
    try:
        with open(path, 'rb') as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        return None
    except DAMAGES as error:
        logging.warning('Ignoring the damaged fit %s: %s', path, error)
        return None


def _write(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
    unfinished = pathlib.Path(f'{path}.{uuid.uuid4().hex}.unfinished')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, 'wb') as file:
                np.savez(file, **arrays)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f'the fitted preprocessing cannot be written to {path} ({error}): '
            'set cache_dir to a local directory with room.'
        ) from error
