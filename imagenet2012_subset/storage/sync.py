"""Sees that what was written is on the disk, not in memory alone."""

from __future__ import annotations

import errno
import os

from etils import epath

from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.storage.unsupported import (
    NO_ADVICE,
    NO_SYNC,
    tell_unsupported,
)

# What a disk says that fails, or is full.
_FAILING = (errno.EIO, errno.ENOSPC, errno.EDQUOT)


def sync_file(path: epath.Path) -> None:
    """Waits until a file is on the disk; the platform need not cache it any longer.

    After a power cut, a file that was not synced may be empty, and of an empty shard
    TFDS tells only once it has read the split to its end. To leave its memory to the
    next file is quicker as well: a virtual machine pays for every page that it was not
    given before. Of a file on remote storage there is nothing to wait for, and a file
    system that cannot sync, or takes no advice, is told of once.

    Args:
      path: of a file that is closed.

    Raises:
      OSError: if the disk fails or has no space for what it seemed to have taken.
    """
    if not is_local(path):
        return
    descriptor = os.open(path, os.O_RDWR)  # Windows syncs nothing that is read-only.
    try:
        try:
            os.fsync(descriptor)
        except OSError as error:
            tell_unsupported(path, error, NO_SYNC)
        try:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            tell_unsupported(path, error, NO_ADVICE)
    finally:
        os.close(descriptor)


def sync_folder(folder: epath.Path) -> None:
    """Waits until the disk has all files of a folder, and their names.

    Raises:
      OSError: as `sync_file`.
    """
    if not is_local(folder):
        return
    for path in folder.iterdir():
        sync_file(path)
    sync_names(folder)


def sync_names(folder: epath.Path) -> None:
    """Waits until the disk has the names in a folder, as they are now.

    Raises:
      OSError: as `sync_file`. Some file systems sync no folders, those of Windows
        shares for one, and say so in one way or another: that is none.
    """
    if not is_local(folder) or not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _FAILING:
            raise
    finally:
        os.close(descriptor)
