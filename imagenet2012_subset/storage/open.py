"""Opens a file by the quickest calls that there are for it."""

from __future__ import annotations

import os

from etils import epath

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.storage.portable_file import PortableFile
from imagenet2012_subset.storage.remote.file import RemoteFile


def open_file(path: epath.Path) -> File:
    """Opens a file for reading.

    Raises:
      ArchiveError: if it cannot be opened.
    """
    positioned_reads = hasattr(os, "preadv") and hasattr(os, "posix_fadvise")
    try:
        if not is_local(path):
            return RemoteFile(path)
        return LocalFile(path) if positioned_reads else PortableFile(path)
    except OSError as error:
        raise ArchiveError(
            path,
            f"cannot be opened ({error.strerror or error})",
            "Make it readable for the user who builds the dataset",
        ) from error
