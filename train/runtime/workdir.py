"""A run's folder: its name, its config, and what may share it."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from etils import epath

from train.config import changed, completed, defining
from train.errors import UserError
from train.runtime import buckets

Fields = Collection[str] | Mapping[str, Any]  # names, or name -> type


def default_path(config: Any, config_file: str, prefix: str = '') -> str:
    """`runs/<prefix><config>-<hash of the defining fields that are not at their defaults>`.

    The same command gives the same folder, whatever fields are added later.
    """
    text = json.dumps(changed(config), sort_keys=True)
    name = pathlib.PurePath(config_file.partition(':')[0]).stem
    return f'runs/{prefix}{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}'


def resolve(path: Any) -> epath.Path:
    """An epath; local paths are made absolute, anything with a scheme stays as it is."""
    try:
        return epath.Path(path if buckets.is_bucket(path) else os.path.abspath(path))
    except KeyError as error:
        raise UserError(
            f'a folder must lie on a disk or in a bucket, gs:// or s3://; found {path}.'
        ) from error


def output(path: Any, name: str) -> epath.Path:
    """Where a command writes: `path`, or `path/name` where that is a folder or ends as one."""
    resolved = resolve(path)
    return resolved / name if str(path).endswith('/') or resolved.is_dir() else resolved


def steps(workdir: epath.Path) -> list[int]:
    """Steps of the checkpoints in a folder, by their names, and in a bucket their marks, oldest first."""
    folder = workdir / 'checkpoints'
    paths = folder.iterdir() if folder.exists() else ()
    named = [path for path in paths if path.name.isdigit()]
    if buckets.is_bucket(workdir):
        named = [path for path in named if (path / buckets.COMMITTED).exists()]
    return sorted(int(path.name) for path in named)


def make(workdir: epath.Path) -> None:
    """Make the folder; a UserError where that cannot be."""
    with _writable(workdir):
        workdir.mkdir(parents=True, exist_ok=True)


def write_config(workdir: epath.Path, config: Any) -> None:
    """Write `config.json`; a UserError where the folder holds another run or cannot be written."""
    check(workdir, config)
    with _writable(workdir):
        write_json(workdir / 'config.json', json.loads(config.to_json()))


@contextlib.contextmanager
def _writable(workdir: epath.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f'--workdir must be writable; {error.strerror or error}: {workdir}.'
        ) from error


def check(workdir: epath.Path, config: Any) -> None:
    """Refuse a folder whose run was made from other defining fields.

    A folder without a checkpoint or a result is nobody's run, whatever config was tried there.
    """
    results = [name for name in ('result.json', 'study.json') if (workdir / name).exists()]
    if not results and not steps(workdir):
        return
    path = workdir / 'config.json'
    if not path.exists():
        raise UserError(
            f'{workdir} holds {"checkpoints" if steps(workdir) else results[0]} and must hold their config.json, '
            'found none; restore that file from a copy, or give another --workdir.'
        )
    stored, here = defining(completed(read_json(path), path)), defining(config)
    differing = [
        f'{name} ({stored.get(name)} there, {here.get(name)} here)'
        for name in sorted(stored.keys() | here.keys())
        if stored.get(name) != here.get(name)
    ]
    if differing:
        raise UserError(
            f'{workdir} holds another run: {", ".join(differing)}; give another --workdir, or the same fields.'
        )


def read_json(path: epath.Path, fields: Fields = ()) -> dict[str, Any]:
    """The JSON object in a file; a UserError where it is damaged, or has not all of `fields`, see `require`."""
    try:
        value = json.loads(path.read_text())
    except ValueError as error:  # neither text nor JSON
        raise UserError(
            f'{path} must hold JSON and is damaged ({error}); restore it from a copy, or use another folder.'
        ) from error
    require(value, fields, path)
    return value


def require(value: Any, fields: Fields, path: Any) -> None:
    """Refuse what a file holds if it is no JSON object with all of `fields`: names, or name -> type."""
    keys = sorted(value) if isinstance(value, dict) else type(value).__name__
    if not isinstance(value, dict) or not set(fields) <= value.keys():
        names = f' with the fields {", ".join(fields)}' if fields else ''
        raise UserError(
            f'{path} must hold a JSON object{names}, found {keys}; restore it from a copy, or use another folder.'
        )
    for name, kind in fields.items() if isinstance(fields, dict) else ():
        if not isinstance(value[name], kind):
            wanted = getattr(kind, '__name__', kind)
            raise UserError(
                f'{path} must hold a value of type {wanted} in {name}, found {value[name]!r}; restore it from a copy, '
                'or use another folder.'
            )


def write_json(path: epath.Path, value: Any) -> None:
    """Write a JSON file whole or not at all; numbers that are not finite become null."""
    write_text(path, json.dumps(_finite(value), indent=2, sort_keys=True, allow_nan=False) + '\n')


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_text(path: epath.Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: epath.Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    if buckets.is_bucket(path):
        path.write_bytes(content)
        return
    partial = path.parent / f'{path.name}.tmp'
    with open(partial, 'wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # or the name may outlive a power cut, and the content not
    partial.replace(path)
