"""Prepared TFDS directories, found and checked by their files alone: no TFDS, no TensorFlow.

`<root>/<name>/<version>/dataset_info.json` is written last and renamed with its directory, so a
directory with it was finished once; its shards are checked against the sizes it states.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

from etils import epath

from train.errors import UserError

SHARD_NAME = '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}'


@dataclass(frozen=True)
class Prepared:
    """A complete prepared dataset: `root` is TFDS's data_dir, `splits` counts the examples."""

    root: epath.Path
    name: str
    version: str
    splits: dict[str, int]
    file_format: str
    key: str  # identifies name, version, split sizes

    @property
    def directory(self) -> epath.Path:
        return self.root / self.name / self.version


def find(roots: Iterable[os.PathLike], name: str, version: str) -> Prepared | None:
    """The first prepared dataset under `roots`, or None. A damaged one raises `UserError`."""
    for root in roots:
        root = epath.Path(root)
        info_file = root / name / version / 'dataset_info.json'
        if info_file.exists():
            return _read(root, name, version, info_file)
    return None


def _read(root: epath.Path, name: str, version: str, info_file: epath.Path) -> Prepared:
    try:
        info = json.loads(info_file.read_text())
        splits = {
            split['name']: [int(n) for n in split['shardLengths']] for split in info['splits']
        }
        sizes = {split['name']: int(split['numBytes']) for split in info['splits']}
        file_format = info.get('fileFormat', 'tfrecord')
        templates = {split.get('filepathTemplate', SHARD_NAME) for split in info['splits']}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{info_file} is damaged ({error}): delete its directory and prepare {name} again.'
        ) from error
    # ArrayRecord compresses, so its sizes say nothing; its reader finds a file that is cut short.
    if templates == {SHARD_NAME} and file_format != 'array_record':
        for split, lengths in splits.items():
            _check_shards(
                info_file.parent, f'{name}-{split}.{file_format}', len(lengths), sizes[split]
            )
    facts = json.dumps([name, version, sorted(splits.items()), sorted(sizes.items())])
    key = hashlib.sha256(facts.encode()).hexdigest()[:12]
    counts = {split: sum(lengths) for split, lengths in splits.items()}
    return Prepared(root, name, version, counts, file_format, key)


def _check_shards(directory: epath.Path, stem: str, num_shards: int, num_bytes: int) -> None:
    """The bytes of the examples bound the files' size from below, whatever wraps an example."""
    shards = [directory / f'{stem}-{i:05d}-of-{num_shards:05d}' for i in range(num_shards)]
    missing = [shard for shard in shards if not shard.exists()]
    if missing:
        raise UserError(
            f'{missing[0]} is missing: delete {directory} and prepare the dataset again.'
        )
    present = sum(shard.stat().length for shard in shards)
    if present < num_bytes:
        raise UserError(
            f'{shards[0]} is cut short ({present} bytes in {num_shards} file(s), at least '
            f'{num_bytes} expected): delete {directory} and prepare the dataset again.'
        )
