"""From files to a cache of rows, which is made once.

Every row is read once to be checked, and once to be copied into the cache, as float32, which runs memory-map. What a
copy is called follows from the bytes of the files and from the columns: files that changed are read anew.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from train.data.base import SPLITS, Config
from train.data.datasets.files import images, paths, reading, rows, selection
from train.data.datasets.files.bundled import is_bundled
from train.data.datasets.files.reading import Reader
from train.data.datasets.files.survey import Survey, survey
from train.data.splitting import split_sizes
from train.data.storage import cache, places
from train.data.storage.cache import Cache
from train.data.table import Column, Table
from train.errors import UserError

VERSION = '1'  # of how files become rows
WHOLE = 'rows'  # the name in a cache of what is still to be split
OF_TABLES = ('columns', 'context', 'categorical', 'bounds')
FIELDS = ('path', 'validation_path', 'test_path', *OF_TABLES)
Made = tuple[dict[str, Any], dict[str, Callable[[], Iterator[np.ndarray]]]]  # notes, blocks of rows
Files = Mapping[str, tuple[pathlib.Path, ...]]  # split or WHOLE -> files, or the name of a table


@dataclasses.dataclass(frozen=True)
class Content:
    """What a cache is called by."""

    key: str
    name: str = 'file'
    version: str = VERSION


@dataclasses.dataclass(frozen=True)
class Converted:
    """A cache of files; notes: the `shape` of images, or the `names` of a table's columns and `facts` of each."""

    cache: Cache

    @property
    def notes(self) -> dict[str, Any]:
        return self.cache.notes

    @property
    def digest(self) -> str:
        """Of the rows of all splits, and of what they mean."""
        facts = self.notes.get('facts', {})
        meaning = self.notes.get('shape') or {name: facts[name]['categories'] for name in facts}
        text = json.dumps([self.cache.fingerprint, meaning], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_FOUND: dict[tuple, Converted] = {}  # by what was asked, so that a command hashes its files once


def converted(config: Config) -> Converted:
    """The cache of the files of a config, found or made; raises UserError."""
    files = _files(config)
    directory = places.cache_directories(config)[-1]
    stamps = (_stamp(path) for part in files.values() for path in part)
    asked = directory, *(getattr(config, field) for field in FIELDS), *stamps
    if asked not in _FOUND:
        _FOUND[asked] = _found_or_made(config, files, directory)
    return _FOUND[asked]


def table_of(config: Config, notes: Mapping[str, Any], digest: str = '') -> Table:
    """The columns that notes tell of, with the bounds of a config; UserError where a row is not between them."""
    names = {part: tuple(found) for part, found in notes['names'].items()}
    bounds = selection.bounds_of(config.bounds, names['columns'])
    known = Survey(notes['facts'])
    return Table(
        tuple(known.column(name, bounds) for name in names['columns']),
        tuple(known.column(name, {}) for name in names['context']),
        names['others'],
        digest,
    )


def _files(config: Config) -> Files:
    if is_bundled(config.path):
        return {WHOLE: (pathlib.Path(config.path),)}
    given = {'validation': config.validation_path, 'test': config.test_path}
    if not any(given.values()):
        return {WHOLE: paths.find('--config.path', config.path)}
    found: dict[str, tuple[pathlib.Path, ...]] = {'train': paths.find('--config.path', config.path)}
    return found | {
        split: paths.find(f'--config.{split}_path', path) for split, path in given.items()
    }


def _stamp(path: pathlib.Path) -> tuple[str, int, int]:
    """What shows that a file changed while the program ran."""
    if is_bundled(path):
        return str(path), 0, 0
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _found_or_made(config: Config, files: Files, directory: pathlib.Path) -> Converted:
    every = [path for part in files.values() for path in part]
    of_images = all(path.suffix.lower() in paths.IMAGES for path in every)
    if of_images:
        _check_no_columns(config)
    content = Content(_key(config, files))
    found = cache.find([directory], content.name, content.version, content.key)
    if found is None:
        convert = _of_images if of_images else _of_tables
        notes, blocks = convert(config, files)
        found = cache.write(directory, content, blocks, notes=notes)
    logging.info('%s: reading %s', config.path, found.directory)
    return Converted(found)


def _check_no_columns(config: Config) -> None:
    for field in OF_TABLES:
        if getattr(config, field):
            raise UserError(
                f'config.{field} must be empty for images, which have no columns; found {getattr(config, field)!r}: '
                'leave it out.'
            )


def _key(config: Config, files: Files) -> str:
    """By what a cache is found: the bytes of the files, and what of them becomes rows."""
    digests = {split: [_digest(path) for path in part] for split, part in files.items()}
    asked = [config.columns, config.context, config.categorical, digests]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _digest(path: pathlib.Path) -> str:
    if is_bundled(path):
        return str(path)
    try:
        with open(path, 'rb') as file:
            return f'{path.suffix} {hashlib.file_digest(file, "sha256").hexdigest()}'
    except OSError as error:
        raise paths.unreadable(path, error) from error


def _of_images(config: Config, files: Files) -> Made:
    del config
    notes = {'shape': images.shape_of(files)}
    if WHOLE in files:
        split_sizes(len(files[WHOLE]))
    return notes, {split: functools.partial(images.rows, part) for split, part in files.items()}


def _of_tables(config: Config, files: Files) -> Made:
    parts = _tables(files)
    names = next(iter(parts.values()))[0].names
    chosen = selection.select(names, config.columns, config.context)
    categorical = selection.listed('categorical', config.categorical, names)
    facts = survey(parts, chosen, categorical)
    if WHOLE in parts:
        split_sizes(facts.counts[WHOLE])
    notes = {'names': chosen._asdict(), 'facts': facts.columns}
    used = table_of(config, notes).used
    return notes, {split: functools.partial(_blocks, part, used) for split, part in parts.items()}


def _tables(files: Files) -> dict[str, list[Reader]]:
    """The tables of each split, or of all that is to be split."""
    parts: dict[str, list[Reader]] = {}
    for split, found in files.items():
        for path in found:
            tables = reading.read(path)
            if len(tables) > 1 and (split != WHOLE or len(found) > 1):
                raise UserError(
                    f'{path} has an array for each split and must be the one file that config.path names; found others '
                    'beside it: give them alone.'
                )
            for own, table in tables.items():
                parts.setdefault(own or split, []).append(table)
    return {split: parts[split] for split in (WHOLE, *SPLITS) if split in parts}


def _blocks(readers: Sequence[Reader], columns: Sequence[Column]) -> Iterator[np.ndarray]:
    for reader in readers:
        yield from rows.rows(reader, columns)
