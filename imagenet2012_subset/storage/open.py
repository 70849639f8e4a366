"""Finds and opens files, on a disk or in a bucket."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from imagenet2012_subset.storage.files import Files, FileTable, cannot_open
from imagenet2012_subset.storage.object_store import ObjectFiles, object_status
from imagenet2012_subset.storage.paths import Status, is_local, status


def exists(path: str) -> bool:
    """Whether a path exists; a broken link counts as existing.

    Raises:
      ManualDirError, ArchiveError: if it is in a bucket and cannot be looked up.
    """
    if is_local(path):
        return os.path.lexists(path)
    try:
        object_status(path)
    except FileNotFoundError:
        return False
    return True


def find_files(paths: Sequence[str]) -> FileTable:
    """Looks up files; the table records their current versions.

    Raises:
      ArchiveError: if one cannot be looked up.
      ManualDirError: if a bucket does not exist or refuses access, or the package that
        reads buckets is not installed.
    """
    return FileTable.of(paths, [_look_up(path) for path in paths])


def _look_up(path: str) -> Status:
    try:
        return status(path) if is_local(path) else object_status(path)
    except OSError as error:
        raise cannot_open(path, error) from error


def ensure_unchanged(table: FileTable) -> None:
    """Looks up the files of a table again, for libraries that open files themselves.

    Raises:
      ArchiveError: if one changed since it was found.
    """
    for file, path in enumerate(table.paths):
        table.ensure_unchanged(file, _look_up(path))


def open_files(table: FileTable) -> Files:
    """Returns a reader for a table's files: all local, or all in a bucket."""
    if len(table) and not is_local(table.paths[0]):
        return ObjectFiles(table)
    return Files(table)


def read_file(path: str) -> bytes:
    """Returns the bytes of a short file.

    Raises:
      OSError: if a local file cannot be read, or an object does not exist.
      ManualDirError, ArchiveError: as `exists`.
    """
    if is_local(path):
        return pathlib.Path(path).read_bytes()
    table = FileTable.of([path], [object_status(path)])
    with ObjectFiles(table) as files:
        return files.read(0, 0, files.size(0)) if files.size(0) else b""
