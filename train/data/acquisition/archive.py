"""A published tar archive: downloaded once, resumed where it broke off, verified, read in part."""

import hashlib
import os
import pathlib
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from train.data.acquisition import server_probe
from train.errors import UserError

SECONDS = 60.0  # without a byte before a download is given up
BYTES_PER_READ = 1 << 20
PARTIAL = '.partial'


class ArchiveError(Exception):
    """Why the archive did not come; what was received is kept for the next attempt."""


@dataclass(frozen=True)
class Archive:
    """A tar archive at a URL with its published MD5."""

    url: str
    md5: str

    @property
    def filename(self) -> str:
        return self.url.rsplit('/', 1)[1]

    def download(self, folder: os.PathLike) -> pathlib.Path:
        """The archive's path in `folder`, downloaded unless it is there; raises `ArchiveError`."""
        path = pathlib.Path(folder) / self.filename
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + PARTIAL)
            self._fetch(partial)
            digest = _md5(partial)
            if digest != self.md5:
                partial.unlink()
                raise ArchiveError(f'{self.url} came with MD5 {digest}, expected {self.md5}')
            os.replace(partial, path)
        return path

    def extract(self, path: os.PathLike, names: Iterable[str], folder: os.PathLike) -> None:
        """Unpack the members that end in `names` from the archive at `path` to `folder`/name.

        Raises `UserError` where the file is not the published archive.
        """
        digest = _md5(path)
        if digest != self.md5:
            raise UserError(
                f'{path} is not the published archive ({os.path.getsize(path)} bytes, MD5 {digest}; '
                f'MD5 {self.md5} is expected): download it again from {self.url}.'
            )
        wanted = set(names)
        with tarfile.open(path, 'r:*') as tar:
            for member in tar:
                name = next(
                    (name for name in wanted if f'/{member.name}'.endswith(f'/{name}')), None
                )
                if name is not None and member.isfile():
                    target = pathlib.Path(folder) / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    source = tar.extractfile(member)
                    assert source is not None  # since it is a file
                    with source, open(target, 'wb') as file:
                        while data := source.read(BYTES_PER_READ):
                            file.write(data)
                    wanted.remove(name)
                if not wanted:
                    return
        raise UserError(f'{path} lacks {", ".join(sorted(wanted))}: it is another archive.')

    def _fetch(self, partial: pathlib.Path) -> None:
        import requests  # comes with TFDS, and only a download needs it

        received = partial.stat().st_size if partial.exists() else 0
        headers = {'Range': f'bytes={received}-'} if received else {}
        try:
            with requests.get(self.url, headers=headers, stream=True, timeout=SECONDS) as response:
                if response.status_code == requests.codes.requested_range_not_satisfiable:
                    return  # all of it is there, or more than there is: the MD5 will tell
                response.raise_for_status()
                if response.status_code != requests.codes.partial_content:
                    received = 0
                _save(response, partial, received)
        except requests.RequestException as error:
            raise ArchiveError(
                f'{server_probe.host(self.url)} broke off ({type(error).__name__})'
            ) from error


def _save(response: Any, partial: pathlib.Path, received: int) -> None:
    remaining = response.headers.get('Content-Length')
    total = received + int(remaining) if remaining else None
    bar = tqdm(
        desc=partial.name,
        total=total,
        initial=received,
        unit='B',
        unit_scale=True,
        disable=not sys.stderr.isatty(),
    )
    with bar, open(partial, 'ab' if received else 'wb') as file:
        for data in response.iter_content(BYTES_PER_READ):
            file.write(data)
            bar.update(len(data))


def _md5(path: os.PathLike) -> str:
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
