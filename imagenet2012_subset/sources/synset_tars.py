"""A folder of a tar for each synset, as the training archive extracts, as a source."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Sequence

import numpy as np
from etils import epath

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError, counted, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import Original
from imagenet2012_subset.sources.source import Index
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.sources.tar_index import index_tars
from imagenet2012_subset.storage.direct_reads import DirectReads
from imagenet2012_subset.storage.folders import Status, entries_of, statuses
from imagenet2012_subset.storage.many_files import ManyFiles
from imagenet2012_subset.storage.paths import dangling_link
from imagenet2012_subset.tar.members import Tar

SYNSET_TAR = re.compile(rb"(n\d{8})\.tar", re.ASCII)


@dataclasses.dataclass(frozen=True)
class SynsetOrigin:
    """Opens a folder of tars again, unless one of them has changed.

    Attributes:
      folder: where they are.
      size: of all together, in bytes.
      changed_ns: when the last of them changed, in nanoseconds since the epoch.
      original: the published archive that they are of.
    """

    folder: str
    size: int
    changed_ns: int
    original: Original

    def open(self) -> SynsetTars:
        tars = SynsetTars(epath.Path(self.folder), self.original)
        if tars.origin != self:
            raise ArchiveError(
                self.folder,
                "its tars changed while the dataset was being built",
                f"Let them be; {LEAVE_ALONE}",
            )
        return tars


class SynsetTars(TarArchive):
    """A `Source` that reads many tars as they are, without extracting anything.

    They are read like one archive that has them one after the other.
    """

    def __init__(
        self,
        folder: epath.Path,
        original: Original,
        index_folder: epath.Path | None = None,
    ):
        """Looks up the tars.

        Args:
          folder: where they are.
          original: the published archive that they are of.
          index_folder: where what they hold is kept for the next time; None keeps
            nothing.

        Raises:
          ArchiveError: if one cannot be looked up, or is no file.
        """
        paths = [os.path.join(os.fspath(folder), f"{w}.tar") for w in _wnids(folder)]
        found = [
            _checked(path, status)
            for path, status in zip(paths, statuses(paths), strict=True)
        ]
        sizes = np.array([status.size for status in found], np.int64)
        changed_ns = np.array([status.changed_ns for status in found], np.int64)
        files = ManyFiles(folder, paths, sizes, changed_ns, DirectReads())
        super().__init__(files, original, index_folder)
        self._tars = [
            Tar("the archive", start, start + size)
            for start, size in zip(files.starts.tolist(), sizes.tolist(), strict=True)
        ]

    @property
    def size(self) -> None:
        return None

    @property
    def origin(self) -> SynsetOrigin:  # type: ignore[override]
        file = self.file
        return SynsetOrigin(
            os.fspath(self.path), file.size, file.mtime_ns, self.original
        )

    @property
    def form(self) -> str:
        return f"{counted(len(self._tars), 'synset tar')}, as {self._whole} extracts"

    @property
    def remedy(self) -> str:
        return (
            f"Extract {self._whole} again (tar -xf {self._whole} -C {self.path}), or "
            "put it into manual_dir as it is"
        )

    @property
    def _whole(self) -> str:
        return self.original.file_name

    def describe(self) -> str:
        held = [os.path.basename(self.file.place(tar.start).path) for tar in self._tars]
        return f"it has {counted(len(held), 'synset tar')} ({first_of(held)})"

    def sha256(self) -> None:
        return None

    def _find(self, on_progress: Callable[[int], None]) -> Index:
        return index_tars(self.file, self._tars, on_progress=on_progress)


def _wnids(folder: epath.Path) -> Sequence[str]:
    try:
        matches = [
            SYNSET_TAR.fullmatch(entry.name) for entry in entries_of(os.fspath(folder))
        ]
    except OSError as error:
        raise ArchiveError(
            folder,
            f"cannot be listed ({error.strerror or error})",
            "Make it readable for the user who builds the dataset",
        ) from error
    present = {match[1].decode() for match in matches if match}
    return sorted(present.intersection(names.wnids()))


def _checked(path: str, status: Status | OSError) -> Status:
    remedy = "Extract it again from the training archive"
    if isinstance(status, OSError):
        if target := dangling_link(epath.Path(path)):
            problem = f"is a link to {target}, which leads nowhere"
            raise ArchiveError(path, problem, remedy) from status
        reason = status.strerror or status
        raise ArchiveError(path, f"cannot be looked up ({reason})", remedy) from status
    if status.what:
        raise ArchiveError(path, f"is {status.what}, not a tar", remedy)
    if not status.size:
        raise ArchiveError(path, "is empty", remedy)
    return status
