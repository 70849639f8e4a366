"""Locks a dataset, so that only one build at a time writes it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Iterator

from absl import logging
from etils import epath

from imagenet2012_subset.errors import WriteError

# What `flock` raises on file systems without locks, such as some network file systems.
_NO_LOCKS = (
    errno.EINVAL,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
)

# The lock files that are held, each with the process and the thread.
_held: set[tuple[str, int, int]] = set()


@contextlib.contextmanager
def locked(final: epath.Path) -> Iterator[bool]:
    """Holds the lock of a dataset: the kernel's lock on `.<version>.lock` beside it.

    The kernel releases it when the process ends, even if it is killed.

    Args:
      final: the dataset's directory, whose parent exists.

    Yields:
      Whether the lock is held. If not, the file system has no locks.

    Raises:
      WriteError: if this thread holds the lock already.
      OSError: if the lock file cannot be created.
    """
    path = os.fspath(final.parent / f".{final.name}.lock")
    held = (path, os.getpid(), threading.get_ident())
    if held in _held:
        raise WriteError(
            final,
            "is being built by this thread: a build cannot start itself again",
            "Finish this build before you load the dataset",
        )
    descriptor, is_locked = _open_and_lock(path, final)
    if is_locked:
        _held.add(held)
    try:
        yield is_locked
    finally:
        _held.discard(held)
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(descriptor)


def _open_and_lock(path: str, final: epath.Path) -> tuple[int, bool]:
    """Returns the descriptor of the lock file, and whether it is locked."""
    quiet = False
    while True:
        descriptor = _open(path)
        try:
            is_locked = _lock(descriptor, final, quiet)
            # The previous holder of the lock has removed its file. Another file, with
            # a separate lock, may exist now.
            if not is_locked or _is_at(descriptor, path):
                return descriptor, is_locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        quiet = True  # Waiting is logged already.


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        # Another user may have created it. Locking does not need write access.
        if not os.path.exists(path):
            raise
        return os.open(path, os.O_RDONLY)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, final: epath.Path, quiet: bool) -> bool:
    """Waits for the lock; returns False if the file system has none."""
    try:
        import fcntl
    except ImportError:  # On Windows.
        return False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # Which one depends on the platform.
            if not quiet:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace")
                who = holder or "another process"
                logging.warning("Waiting for %s, which builds %s", who, final)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logging.warning(
            "%s cannot be locked (%s): do not build it in several processes at once",
            final,
            error.strerror,
        )
        return False
    with contextlib.suppress(OSError):  # Only for the log message of waiting processes.
        os.ftruncate(descriptor, 0)
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        os.pwrite(descriptor, holder.encode(), 0)
    return True
