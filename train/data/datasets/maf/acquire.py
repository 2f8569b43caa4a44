"""How one of MAF's tables that is not prepared here gets prepared.

From MAF's unpacked folder or archive in `config.manual_dir`, else from a download of the archive,
which is kept in `downloads` of the data directory for the other tables.
"""

import pathlib
from dataclasses import dataclass

from absl import logging

from train.data.acquisition import preparation, server_probe
from train.data.acquisition.archive import Archive, ArchiveError
from train.data.base import Config
from train.data.datasets.maf import tables
from train.data.datasets.maf.tables import Table
from train.data.storage.locks import locked
from train.data.storage.prepared_directory import Prepared
from train.errors import UserError


def prepare(config: Config, table: Table, archive: Archive) -> Prepared:
    """Prepare one of MAF's tables; returns it as `Prepared`, or raises `UserError`."""

    def ways(staging: pathlib.Path) -> tuple[dict[str, preparation.Step], str]:
        job = TableJob(config, table, archive, staging)
        return {
            "MAF's folder or archive in manual_dir": job.from_manual_dir,
            "the download of MAF's archive": job.from_download,
        }, f'{archive.filename} ({archive.url}) or its unpacked content'

    return preparation.make(config, table.name, tables.VERSION, ways)


@dataclass(frozen=True)
class TableJob:
    """One of MAF's tables to prepare."""

    config: Config
    table: Table
    archive: Archive
    staging: pathlib.Path

    def from_manual_dir(self) -> str | None:
        """MAF's files, directly in `manual_dir` or in its folder `data`, or the archive there."""
        if not self.config.manual_dir:
            return 'manual_dir is not set'
        manual = pathlib.Path(self.config.manual_dir).expanduser()
        for folder in (manual, manual / 'data'):
            present = [file for file in self.table.files if (folder / file).is_file()]
            missing = [file for file in self.table.files if file not in present]
            if present and missing:
                raise UserError(
                    f'{folder} lacks {", ".join(missing)}, which {self.table.name} needs beside '
                    f'{", ".join(present)}: put it there.'
                )
            if present:
                self._build(folder)
                return None
        if (manual / self.archive.filename).is_file():
            self._build_from(manual / self.archive.filename)
            return None
        return f'manual_dir {manual} has neither {self.table.files[0]} nor {self.archive.filename}'

    def from_download(self) -> str | None:
        """The archive in the data directory's `downloads`, fetched unless it is there."""
        downloads = self.staging.parent / 'downloads'
        path = downloads / self.archive.filename
        if not path.exists():
            reason = server_probe.unreachable(self.archive.url)
            if reason is not None:
                return reason
        downloads.mkdir(parents=True, exist_ok=True)
        try:
            with locked(path):
                path = self.archive.download(downloads)
        except ArchiveError as error:
            return str(error)
        self._build_from(path)
        return None

    def _build_from(self, path: pathlib.Path) -> None:
        folder = self.staging / 'unpacked'
        logging.info('%s: unpacking %s', self.table.name, path)
        self.archive.extract(path, self.table.files, folder)
        self._build(folder)

    def _build(self, folder: pathlib.Path) -> None:
        from train.data.datasets.maf import builders  # TFDS, for the one preparation

        builders.prepare_table(self.table, self.staging, folder)
