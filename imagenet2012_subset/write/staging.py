"""Replaces the dataset in its final place atomically, or leaves it unchanged.

A build writes in a staging directory beside the final place. A complete and synced
dataset is moved by renaming, which is atomic:

    final place          staging directory
    -----------          -----------------
    old                  new (whole, synced)
    -                    new, replaced (the old one)
    new                  replaced
    new                  -

At each moment, one complete dataset is in the final place or can be restored. In the
second line, the staging directory contains both datasets: the next build restores the
old one if the final place is empty. Nothing is ever deleted in the final place, only in
staging directories. Exchanging the two in one call would avoid the second line, but
macOS, network and layered file systems do not support it.

Builds of the same dataset take turns (`locked`). Without locks, renaming still keeps
the final place whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import socket
import uuid
from collections.abc import Iterator

import filelock
from absl import logging
from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.storage.files import NO_ADVICE, NO_SYNC, warn_unsupported
from imagenet2012_subset.tfds_internals import INCOMPLETE_PREFIX

_REPLACED = "replaced"

_DISK_FAILURES = (errno.EIO, errno.ENOSPC, errno.EDQUOT)

# What file systems without locks raise, such as some network file systems.
_NO_LOCKS = (
    errno.EINVAL,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
)


@contextlib.contextmanager
def locked(final: epath.Path) -> Iterator[bool]:
    """Holds the lock of a dataset: `.<version>.lock` beside it.

    The kernel releases it when the process ends, even if it is killed.

    Args:
      final: the dataset's directory, whose parent exists.

    Yields:
      Whether the lock is held. If not, the file system has no locks.

    Raises:
      WriteError: if this thread holds the lock already.
      OSError: if the lock file cannot be created.
    """
    path = pathlib.Path(final.parent / f".{final.name}.lock")
    # Other users build in the same directory, so they may lock this file too.
    lock = filelock.FileLock(path, mode=0o666, fallback_to_soft=False)
    try:
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            holder = ""
            with contextlib.suppress(OSError):
                holder = path.read_text(errors="replace")
            who = holder or "another process"
            logging.warning("Waiting for %s, which is building %s", who, final)
            lock.acquire()
    except RuntimeError as error:  # It would wait for itself.
        raise WriteError(
            final,
            "is being built by this thread: a build cannot start itself again",
            "Finish this build before you load the dataset",
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logging.warning(
            "%s cannot be locked (%s): do not build it in several processes at once",
            final,
            error.strerror,
        )
    try:
        with contextlib.suppress(OSError):  # Only for the log message above.
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield lock.is_locked
    finally:
        # A process that waits for this file notices that it is gone, and starts again.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


@contextlib.contextmanager
def staging_directory(final: epath.Path) -> Iterator[epath.Path]:
    """Creates a staging directory beside the final place, and removes it at the end.

    Used as a `data_dir`, it is where TFDS puts the new dataset. After an error or an
    interrupt, a dataset that was being replaced is put back first.

    Args:
      final: the final place, `<data_dir>/<dataset>/<config>/<version>`.
    """
    staging = final.parent / f"{INCOMPLETE_PREFIX}{uuid.uuid4().hex}_{final.name}"
    staging.mkdir(parents=True)
    try:
        yield staging
    except BaseException:
        _put_back_from(staging, final)
        _remove(staging)
        raise
    _remove(staging)


def put_in_place(staging: epath.Path, final: epath.Path, *, replace: bool) -> bool:
    """Moves a complete and synced dataset from staging to its final place.

    Args:
      staging: the staging directory.
      final: the final place.
      replace: whether to replace an existing dataset. A link is replaced, but not its
        target.

    Returns:
      Whether it was moved. If not, something is in the final place.

    Raises:
      OSError: if renaming fails for another reason.
    """
    if replace:
        with contextlib.suppress(FileNotFoundError):
            final.rename(staging / _REPLACED)
    if not _renamed(_staged_dataset(staging, final), final):
        return False
    try:
        sync_names(final.parent)
    except OSError as error:
        logging.warning("%s is in place, but not synced (%s)", final, error)
    return True


def put_back(final: epath.Path) -> None:
    """Restores the dataset that a killed build was replacing, if any."""
    for staging in staging_directories(final):
        _put_back_from(staging, final)


def remove_leftovers(final: epath.Path) -> None:
    """Removes the staging directories of killed builds; the caller holds the lock."""
    for staging in staging_directories(final):
        if _remove(staging):
            logging.warning("Removed %s, which a killed build left behind", staging)


def staging_directories(final: epath.Path) -> list[epath.Path]:
    """Returns the staging directories of all builds, running or killed."""
    return sorted(final.parent.glob(f"{INCOMPLETE_PREFIX}*_{final.name}"))


def _staged_dataset(staging: epath.Path, final: epath.Path) -> epath.Path:
    """Returns where TFDS puts a dataset whose `data_dir` is the staging directory."""
    return staging.joinpath(*final.parts[-3:])


def _put_back_from(staging: epath.Path, final: epath.Path) -> None:
    try:
        if not _staged_dataset(staging, final).exists():
            return
        # Version 1.1 numbered them; the last one is the one that was in place last.
        replaced = sorted(
            staging.glob(f"{_REPLACED}*"), key=lambda path: (len(path.name), path.name)
        )
        if not replaced or not _renamed(replaced[-1], final):
            return
    except (FileNotFoundError, PermissionError):  # It may be another user's.
        return
    sync_names(final.parent)
    logging.warning(
        "A build that was replacing %s ended early: the old dataset is back", final
    )


def _renamed(source: epath.Path, target: epath.Path) -> bool:
    """Renames `source`; returns False if `target` exists."""
    try:
        source.rename(target)
    except (FileExistsError, NotADirectoryError):  # `epath` sets no errno.
        return False
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def _remove(staging: epath.Path) -> bool:
    """Removes a staging directory; returns False, with a warning, if it remains."""
    try:
        with contextlib.suppress(FileNotFoundError):
            staging.rmtree()
    except OSError as error:
        logging.warning(
            "The staging directory %s could not be deleted (%s). Delete it yourself",
            staging,
            error,
        )
        return False
    return True


def sync_file(path: epath.Path) -> None:
    """Waits until a file is on the disk, and drops it from the page cache.

    After a power failure, a file that was not synced may be empty, and TFDS notices an
    empty shard only when it reaches the end of the split. Dropping the pages is also
    faster: in a virtual machine, the first use of each page is slow. If the file system
    does not support a call, warns once.

    Args:
      path: a closed file.

    Raises:
      OSError: if the disk fails or is full.
    """
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
    for path in folder.iterdir():
        sync_file(path)
    sync_names(folder)


def sync_names(folder: epath.Path) -> None:
    """Waits until the current names in a folder are on the disk.

    Raises:
      OSError: if the disk fails or is full. File systems that cannot sync folders, such
        as Windows shares, report it with different errors, which are ignored.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _DISK_FAILURES:
            raise
    finally:
        os.close(descriptor)
