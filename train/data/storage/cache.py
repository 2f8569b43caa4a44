"""Caches: splits read once through TFDS lie as files that later runs open at once.

One directory per dataset and form, `<name>-<version>-<key><suffix>/` with the files of the form and
`info.json`, written under another name and renamed when it is complete. The arrays are found and
opened without TensorFlow and without TFDS, the records without TensorFlow.
"""

import hashlib
import json
import os
import pathlib
import shutil
import uuid
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from absl import logging

from train.data.acquisition.locks import locked
from train.data.storage import arrays, records
from train.data.storage.sources import ArraySource
from train.errors import UserError

INFO = 'info.json'
UNFINISHED = '.unfinished-'
# How rows are read, by `config.source`: from a memory map, from memory, or record by record.
FORMS = {'map': arrays, 'memory': arrays, 'stream': records}


@dataclass(frozen=True)
class Cache:
    """A complete cache; `splits` maps a split to its bytes, shape, dtype and sha256."""

    directory: pathlib.Path
    splits: dict
    form: ModuleType = arrays

    @property
    def fingerprint(self):
        """Identifies the content of all splits, wherever and however they were prepared."""
        content = json.dumps(
            sorted((split, facts['sha256']) for split, facts in self.splits.items())
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def source(self, split, in_memory=False):
        """The split's rows, read where they lie or, `in_memory`, all at once."""
        found = self.form.source(self.directory, split, self.splits[split])
        return ArraySource(found.gather(np.arange(len(found)))) if in_memory else found


def form_of(config):
    """The file form that `config.source` reads."""
    if config.source not in FORMS:
        raise UserError(
            f'config.source must be one of {", ".join(FORMS)}; found {config.source!r}.'
        )
    return FORMS[config.source]


def find(directories, name, version, key=None, form=arrays):
    """The first complete cache of a dataset, or None. Without a `key`: of any preparation.

    A damaged cache is reported and passed over.
    """
    for directory in directories:
        pattern = f'{name}-{version}-{key or "*"}{form.SUFFIX}'
        for candidate in sorted(pathlib.Path(directory).glob(pattern)):
            if form.SUFFIX or candidate.suffix != records.SUFFIX:
                cache = _open(candidate, form)
                if cache is not None:
                    return cache
    return None


def _open(directory, form):
    try:
        splits = dict(json.loads((directory / INFO).read_text())['splits'])
        if not splits:
            raise ValueError('it names no split')
        for split, facts in splits.items():
            form.check(directory, split, facts)
            if not isinstance(facts['sha256'], str):
                raise ValueError(f'the digest of {split} is missing')
    except (OSError, ValueError, KeyError, TypeError) as error:
        logging.warning('Ignoring the damaged cache %s: %s', directory, error)
        return None
    return Cache(directory, splits, form)


def write(directory, prepared, splits, form=arrays):
    """Make the cache of a `Prepared` dataset, unless another process has done so meanwhile.

    `splits` maps a split to a function without arguments that gives its blocks of rows (n, D).
    """
    name, version, key = prepared.name, prepared.version, prepared.key
    target = pathlib.Path(directory) / f'{name}-{version}-{key}{form.SUFFIX}'
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            found = find([directory], name, version, key, form)
            return found or _write(target, splits, form)
    except OSError as error:
        raise UserError(
            f'the cache {target} cannot be written ({error}): '
            'set cache_dir to a local directory with room.'
        ) from error


def _write(target, splits, form):
    # The lock is ours: what bears these names was left by a process that was killed.
    for leftover in target.parent.glob(f'{UNFINISHED}{target.name}-*'):
        shutil.rmtree(leftover)
    unfinished = target.with_name(f'{UNFINISHED}{target.name}-{uuid.uuid4().hex}')
    unfinished.mkdir()
    try:
        facts = form.write(unfinished, {split: read() for split, read in splits.items()})
        (unfinished / INFO).write_text(json.dumps({'splits': facts}, indent=1))
        if target.exists():
            shutil.rmtree(target)
        os.rename(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    logging.info('Wrote the cache %s', target)
    return Cache(target, facts, form)
