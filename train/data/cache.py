"""Memory-mapped caches: a split read once through TFDS lies in a `.npy` that later runs map.

One directory per dataset, `<name>-<version>-<key>/` with `<split>.npy` and `info.json`, written
under another name and renamed when it is complete. It is found and opened without TensorFlow and
without TFDS.
"""

import hashlib
import json
import os
import pathlib
import shutil
import uuid
from dataclasses import dataclass

import numpy as np
from absl import logging

from train.data.locks import locked
from train.errors import UserError

INFO = 'info.json'
UNFINISHED = '.unfinished-'


@dataclass(frozen=True)
class Cache:
    """A complete cache; `splits` maps a split to its bytes, shape, dtype and sha256."""

    directory: pathlib.Path
    splits: dict

    @property
    def fingerprint(self):
        """Identifies the content of all splits, wherever and however they were prepared."""
        content = json.dumps(
            sorted((split, facts['sha256']) for split, facts in self.splits.items())
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def open(self, split):
        """The split's array (n, D), memory-mapped."""
        return np.load(self.directory / f'{split}.npy', mmap_mode='r', allow_pickle=False)


def find(directories, name, version, key=None):
    """The first complete cache of a dataset, or None. Without a `key`: of any preparation.

    A damaged cache is reported and passed over.
    """
    for directory in directories:
        for candidate in sorted(pathlib.Path(directory).glob(f'{name}-{version}-{key or "*"}')):
            cache = _open(candidate)
            if cache is not None:
                return cache
    return None


def _open(directory):
    try:
        splits = json.loads((directory / INFO).read_text())['splits']
        for split, facts in splits.items():
            _check(directory / f'{split}.npy', facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        logging.warning('Ignoring the damaged cache %s: %s', directory, error)
        return None
    return Cache(directory, splits)


def _check(file, facts):
    """Raise unless a `.npy` has the size, shape and dtype on record."""
    size = file.stat().st_size
    if size != facts['bytes']:
        raise ValueError(f'{file} has {size} bytes of {facts["bytes"]}')
    array = np.load(file, mmap_mode='r', allow_pickle=False)
    if [list(array.shape), str(array.dtype)] != [facts['shape'], facts['dtype']]:
        raise ValueError(f'{file} holds {array.dtype} {array.shape}; expected {facts}')


def write(directory, prepared, fill):
    """Make the cache of a `Prepared` dataset, unless another process has done so meanwhile.

    `fill(split, path)` writes the array of one split to a `.npy` at `path`.
    """
    target = pathlib.Path(directory) / f'{prepared.name}-{prepared.version}-{prepared.key}'
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            return find([directory], prepared.name, prepared.version, prepared.key) or _write(
                target, prepared, fill
            )
    except OSError as error:
        raise UserError(
            f'the cache {target} cannot be written ({error}): '
            'set cache_dir to a local directory with room.'
        ) from error


def _write(target, prepared, fill):
    # The lock is ours: what bears these names was left by a process that was killed.
    for leftover in target.parent.glob(f'{UNFINISHED}{target.name}-*'):
        shutil.rmtree(leftover)
    unfinished = target.with_name(f'{UNFINISHED}{target.name}-{uuid.uuid4().hex}')
    unfinished.mkdir()
    try:
        splits = {}
        for split in prepared.splits:
            path = unfinished / f'{split}.npy'
            fill(split, path)
            splits[split] = _facts(path)
        (unfinished / INFO).write_text(json.dumps({'splits': splits}, indent=1))
        if target.exists():
            shutil.rmtree(target)
        os.rename(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    logging.info('Wrote the cache %s', target)
    return Cache(target, splits)


def _facts(path):
    array = np.load(path, mmap_mode='r', allow_pickle=False)
    digest = hashlib.sha256(np.ascontiguousarray(array).data)
    return {
        'bytes': path.stat().st_size,
        'shape': list(array.shape),
        'dtype': str(array.dtype),
        'sha256': digest.hexdigest(),
    }
