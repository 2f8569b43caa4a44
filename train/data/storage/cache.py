"""Caches: splits read once through TFDS lie as files that later runs open at once.

One directory per dataset, `<name>-<version>-<key>/` with an array of each split and `info.json`, written under
another name and renamed when it is complete. It is found and opened without TensorFlow and without TFDS.
"""

import hashlib
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from absl import logging

from train.data.storage import arrays
from train.data.storage.locks import locked
from train.data.storage.sources import ArraySource
from train.errors import UserError

INFO = 'info.json'
UNFINISHED = '.unfinished-'
Blocks = Iterable[np.ndarray]  # the rows of a split, (n, D) each


class Origin(Protocol):
    """What a cache is made from, such as a `Prepared` dataset: what it is called by."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def key(self) -> str: ...


@dataclass(frozen=True)
class Cache:
    """A complete cache; `splits` maps a split to its bytes, shape, dtype and sha256, `notes` say what its rows are."""

    directory: pathlib.Path
    splits: dict[str, arrays.Facts]
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Identifies the content of all splits, wherever they were prepared."""
        content = json.dumps(
            sorted((split, facts['sha256']) for split, facts in self.splits.items())
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def source(self, split: str, in_memory: bool = False) -> ArraySource:
        """The split's rows, read where they lie or, `in_memory`, all at once."""
        mapped = arrays.source(self.directory, split)
        return ArraySource(mapped.gather(np.arange(len(mapped)))) if in_memory else mapped


def find(
    directories: Sequence[pathlib.Path], name: str, version: str, key: str | None = None
) -> Cache | None:
    """The first complete cache of a dataset, or None. Without a `key`: of any preparation.

    A damaged cache is reported and passed over.
    """
    for directory in directories:
        for candidate in sorted(pathlib.Path(directory).glob(f'{name}-{version}-{key or "*"}')):
            cache = _open(candidate)
            if cache is not None:
                return cache
    return None


def _open(directory: pathlib.Path) -> Cache | None:
    try:
        info = json.loads((directory / INFO).read_text())
        splits, notes = dict(info['splits']), dict(info.get('notes', {}))
        if not splits:
            raise ValueError('it names no split')
        for split, facts in splits.items():
            arrays.check(directory, split, facts)
            if not isinstance(facts['sha256'], str):
                raise ValueError(f'the digest of {split} is missing')
    except (OSError, ValueError, KeyError, TypeError) as error:
        logging.warning('Ignoring the damaged cache %s: %s', directory, error)
        return None
    return Cache(directory, splits, notes)


def write(
    directory: pathlib.Path,
    origin: Origin,
    splits: Mapping[str, Callable[[], Blocks]],
    name: str = '',
    notes: Mapping[str, Any] | None = None,
) -> Cache:
    """Make the cache of a dataset, unless another process has done so meanwhile.

    `splits` maps a split to a function without arguments that gives its blocks of rows (n, D). `name`: under which it
    is found, where that is not the dataset's. `notes`: JSON that is kept beside the rows.
    """
    name, version, key = name or origin.name, origin.version, origin.key
    target = pathlib.Path(directory) / f'{name}-{version}-{key}'
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            return find([directory], name, version, key) or _write(target, splits, notes or {})
    except OSError as error:
        raise UserError(
            f'the cache {target} cannot be written ({error}): '
            'set cache_dir to a local directory with room.'
        ) from error


def _write(
    target: pathlib.Path, splits: Mapping[str, Callable[[], Blocks]], notes: Mapping[str, Any]
) -> Cache:
    # The lock is ours: what bears these names was left by a process that was killed.
    for leftover in target.parent.glob(f'{UNFINISHED}{target.name}-*'):
        shutil.rmtree(leftover)
    unfinished = target.with_name(f'{UNFINISHED}{target.name}-{uuid.uuid4().hex}')
    unfinished.mkdir()
    try:
        facts = {split: arrays.write(unfinished, split, read()) for split, read in splits.items()}
        (unfinished / INFO).write_text(json.dumps({'splits': facts, 'notes': notes}, indent=1))
        if target.exists():
            shutil.rmtree(target)
        os.rename(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    logging.info('Wrote the cache %s', target)
    return Cache(target, facts, dict(notes))
