"""Syncs files and folders to the disk."""

from __future__ import annotations

import errno
import os

from etils import epath

from imagenet2012_subset.storage.files import NO_ADVICE, NO_SYNC, warn_unsupported
from imagenet2012_subset.storage.paths import is_local

_DISK_FAILURES = (errno.EIO, errno.ENOSPC, errno.EDQUOT)


def sync_file(path: epath.Path) -> None:
    """Waits until a file is on the disk, and drops it from the page cache.

    After a power failure, a file that was not synced may be empty, and TFDS notices an
    empty shard only when it reaches the end of the split. Dropping the pages is also
    faster: in a virtual machine, the first use of each page is slow. Does nothing for
    remote storage. If the file system does not support a call, warns once.

    Args:
      path: a closed file.

    Raises:
      OSError: if the disk fails or is full.
    """
    if not is_local(path):
        return
    descriptor = os.open(path, os.O_RDWR)  # Windows cannot sync a read-only file.
    try:
        try:
            os.fsync(descriptor)
        except OSError as error:
            warn_unsupported(path, error, NO_SYNC)
        try:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            warn_unsupported(path, error, NO_ADVICE)
    finally:
        os.close(descriptor)


def sync_folder(folder: epath.Path) -> None:
    """Waits until all files of a folder, and their names, are on the disk.

    Raises:
      OSError: as `sync_file`.
    """
    if not is_local(folder):
        return
    for path in folder.iterdir():
        sync_file(path)
    sync_names(folder)


def sync_names(folder: epath.Path) -> None:
    """Waits until the current names in a folder are on the disk.

    Raises:
      OSError: if the disk fails or is full. File systems that cannot sync folders, such
        as Windows shares, report it with different errors, which are ignored.
    """
    if not is_local(folder) or not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _DISK_FAILURES:
            raise
    finally:
        os.close(descriptor)
