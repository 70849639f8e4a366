"""One build at a time of each dataset."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

from absl import logging
from etils import epath

# What `open` or `flock` raise where locks are not supported: on some network file
# systems, or on those that are mounted without them.
_NO_LOCKS = (
    errno.EINVAL,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
)
_HOLDER_BYTES = 200


@contextlib.contextmanager
def locked(final: epath.Path) -> Iterator[bool]:
    """Holds the lock of a dataset, `.<version>.lock` beside its directory.

    It is the kernel's lock on that file, which ends with the process, however that
    ends. `filelock` uses the same one, but falls back to lock files that outlive their
    process where a file system has no locks.

    Args:
      final: the dataset's directory, whose parent exists.

    Yields:
      Whether the lock is held. If not, the file system has no locks.

    Raises:
      OSError: if the lock file cannot be created.
    """
    path = os.fspath(final.parent / f".{final.name}.lock")
    descriptor = _open(path)
    try:
        is_locked = _acquire(descriptor, final)
        # The process that held the lock has removed the file: now there may be
        # another one, with another lock.
        while is_locked and not _is_at(descriptor, path):
            os.close(descriptor)
            descriptor = _open(path)
            is_locked = _acquire(descriptor, final, quiet=True)
        try:
            yield is_locked
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        # Another user may have created it. A lock does not need to write.
        if not os.path.exists(path):
            raise
        return os.open(path, os.O_RDONLY)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _acquire(descriptor: int, final: epath.Path, *, quiet: bool = False) -> bool:
    try:
        import fcntl
    except ImportError:  # On Windows.
        return False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # By the file system.
            if not quiet:
                holder = _holder(descriptor)
                logging.warning("Waiting for %s, which builds %s", holder, final)
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
    with contextlib.suppress(OSError):  # Only for the message of those who wait.
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} on {socket.gethostname()}".encode(), 0)
    return True


def _holder(descriptor: int) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if holder := os.pread(descriptor, _HOLDER_BYTES, 0).decode():
            return f"process {holder}"
    return "another process"
