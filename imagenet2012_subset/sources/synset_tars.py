"""A folder with a tar for each synset, as the training archive extracts to."""

from __future__ import annotations

import os
import re

from etils import epath

from imagenet2012_subset.errors import ArchiveError, counted, first_of
from imagenet2012_subset.file_types import START_BYTES, file_type
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.storage.files import FileTable
from imagenet2012_subset.storage.in_step import OnProgress
from imagenet2012_subset.storage.paths import (
    Status,
    cannot_list,
    dangling_link,
    entries_of,
    statuses,
    with_content,
)
from imagenet2012_subset.tar.headers import DamagedTarError, Tar
from imagenet2012_subset.tar.walk import TarWalk, walk_tars

SYNSET_TAR = re.compile(rb"(n\d{8})\.tar", re.ASCII)


class SynsetTars(TarArchive):
    """Training images in up to 1,000 tars, which are never extracted."""

    def _find_table(self) -> FileTable:
        try:
            present = [
                match[1].decode()
                for entry in entries_of(os.fspath(self.path))
                if (match := SYNSET_TAR.fullmatch(entry.name))
            ]
        except OSError as error:
            raise cannot_list(self.path, error) from error
        wnids = sorted({*present}.intersection(names.wnids()))
        paths = [os.path.join(self.path, f"{wnid}.tar") for wnid in wnids]
        found = map(_checked, paths, statuses(paths))
        return FileTable.of(paths, list(found))

    def _walk(self, on_progress: OnProgress) -> list[TarWalk]:
        tars = [
            Tar(os.path.basename(path), file, 0, self.files.size(file))
            for file, path in enumerate(self.table.paths)
        ]
        return walk_tars(self.files, tars, on_progress)

    @property
    def size(self) -> None:
        return None

    @property
    def form(self) -> str:
        archive = self.original.file_name
        return f"{counted(len(self.table), 'synset tar')}, as {archive} extracts to"

    @property
    def remedy(self) -> str:
        archive = self.original.file_name
        return (
            f"Extract {archive} again (tar -xf {archive} -C {self.path}), or put it "
            "into manual_dir as it is"
        )

    def _explained(self, error: DamagedTarError) -> ArchiveError:
        file = self.table.paths.index(error.path)
        start = self.files.read(file, 0, min(START_BYTES, self.files.size(file)))
        found = file_type(start)
        problem = f"is {found.value}, not a tar" if found else error.problem
        return ArchiveError(error.path, problem, self._if_damaged)

    @property
    def _if_damaged(self) -> str:
        return f"Extract this tar again from {self.original.file_name}"

    def describe(self) -> str:
        present = [os.path.basename(path) for path in self.table.paths]
        tars = f"{counted(len(present), 'synset tar')} ({first_of(present)})"
        remarks = "".join(f"; {remark}" for remark in self.index.remarks)
        return f"it has {tars}{remarks}"

    def sha256(self) -> None:
        return None


def _checked(path: str, status: Status | OSError) -> Status:
    remedy = f"Extract this tar again from {TRAINING.file_name}"
    is_error = isinstance(status, OSError)
    if is_error and (target := dangling_link(epath.Path(path))):
        raise ArchiveError(path, f"is a broken link to {target}", remedy)
    return with_content(path, status, "a tar", remedy)
