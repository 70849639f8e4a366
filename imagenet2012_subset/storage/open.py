"""Finds and opens files, on a disk or in a bucket."""

from __future__ import annotations

from collections.abc import Sequence

from imagenet2012_subset.storage.files import Files, FileTable, cannot_open
from imagenet2012_subset.storage.folders import status
from imagenet2012_subset.storage.object_store import ObjectFiles, object_status
from imagenet2012_subset.storage.paths import is_local


def find_files(paths: Sequence[str]) -> FileTable:
    """Looks up files; the table notes their present versions.

    Raises:
      ArchiveError: if one cannot be looked up.
      ManualDirError: if the package that reads buckets is missing.
    """
    found = []
    for path in paths:
        try:
            found.append(status(path) if is_local(path) else object_status(path))
        except OSError as error:
            raise cannot_open(path, error) from error
    return FileTable.of(paths, found)


def open_files(table: FileTable) -> Files:
    """Returns what reads the files of a table. All are local, or all in a bucket."""
    if len(table) and not is_local(table.paths[0]):
        return ObjectFiles(table)
    return Files(table)
