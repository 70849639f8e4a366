"""Reads ranges of many files: one tar, a thousand tars, or a file for each image."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from absl import logging

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError
from imagenet2012_subset.storage.paths import Status, status_of

# Without posix_fadvise (macOS), a few threads read ahead.
HAS_ADVICE = hasattr(os, "posix_fadvise")
PREFETCH_THREADS = 16

# While one image is written, the disk fetches this many of the next ones.
_AHEAD = 16

_MAX_OPEN_PER_READER = 512
_TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)
_SECONDS_TO_WAIT_FOR_A_DESCRIPTOR = 5.0
_OPEN_AT_START = 32  # Assumed where the system does not list open files.

NO_ADVICE = "does not support caching hints; the build continues without them"
NO_SYNC = "cannot sync files: a power failure in the next minute may empty them"
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_warned: set[tuple[int, str]] = set()

_READ_FAILED = (
    f"The file changed or its disk failed while it was being read; {LEAVE_ALONE}"
)
_CHANGED = f"The file changed since it was found; {LEAVE_ALONE}"


class Range(NamedTuple):
    """A range of bytes in one of several files.

    Attributes:
      file: the index of the file.
      offset: the first byte.
      size: the number of bytes.
    """

    file: int
    offset: int
    size: int


@dataclasses.dataclass(frozen=True, eq=False)
class FileTable:
    """The versions of files that were found.

    Attributes:
      paths: m local paths or URLs.
      sizes: int64, shape (m,), in bytes.
      changed_ns: int64, shape (m,): the change time (`st_ctime_ns`) in nanoseconds
        since the epoch. Unlike the modification time, no tool can set it. For an object
        in a bucket, a number derived from its version.
    """

    paths: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    changed_ns: npt.NDArray[np.int64]

    @classmethod
    def of(cls, paths: Sequence[str], found: Sequence[Status]) -> FileTable:
        """Makes a table from the results of looking up the paths."""
        return cls(
            tuple(paths),
            np.array([one.size for one in found], np.int64),
            np.array([one.changed_ns for one in found], np.int64),
        )

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: npt.NDArray[np.int64]) -> FileTable:
        """Returns the files at `indices`."""
        paths = tuple(self.paths[i] for i in indices.tolist())
        return FileTable(paths, self.sizes[indices], self.changed_ns[indices])

    def same_versions(self, other: FileTable) -> bool:
        """Whether both tables have the same sizes and change times."""
        return np.array_equal(self.sizes, other.sizes) and np.array_equal(
            self.changed_ns, other.changed_ns
        )

    def ensure_unchanged(self, file: int, now: Status) -> None:
        """Raises an `ArchiveError` if a file is not the version that was found."""
        size = int(self.sizes[file])
        if (now.size, now.changed_ns) == (size, int(self.changed_ns[file])):
            return
        if now.what:
            problem = f"is now {now.what}"
        elif now.size != size:
            problem = f"had {size:,} bytes and now has {now.size:,}"
        else:
            problem = "was written to or replaced while it was in use"
        raise ArchiveError(self.paths[file], problem, _CHANGED)


class Files:
    """Local files, opened on demand; safe to use from any thread.

    Attributes:
      table: the files. If the size or change time of one differs when it is opened,
        that is an error.
      in_step: how many small reads to prefetch at a time when walking files.
      ahead: how many images to prefetch at a time when reading them in order.
    """

    in_step = 256
    ahead = _AHEAD

    def __init__(self, table: FileTable):
        self.table = table
        self._opened: dict[int, _OpenFile] = {}
        self._lock = threading.Lock()
        self._max_open: int | None = None
        self._prefetched: ReadsAhead | None = None
        if not HAS_ADVICE:
            pool = concurrent.futures.ThreadPoolExecutor(PREFETCH_THREADS)
            self._prefetched = ReadsAhead(self._read, pool)
        self._takes_advice = HAS_ADVICE

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all files; a later read opens them again."""
        if self._prefetched:
            self._prefetched.close()
        with self._lock:
            self._opened.clear()

    def path(self, file: int) -> str:
        """Returns the path of a file."""
        return self.table.paths[file]

    def size(self, file: int) -> int:
        """Returns the size in bytes that a file had when it was found."""
        return int(self.table.sizes[file])

    def sequential(self) -> Files:
        """Returns a reader for many small ranges in order; here, these files."""
        return self

    def prefetch(self, file: int, offset: int, size: int) -> None:
        """Starts to fetch a range that will be read soon.

        Raises:
          ArchiveError: if the file cannot be opened or has changed.
        """
        if self._prefetched:
            self._prefetched.start(Range(file, offset, size))
        elif self._takes_advice:
            descriptor = self._opened.get(file) or self._open(file)
            try:
                os.posix_fadvise(descriptor.fd, offset, size, os.POSIX_FADV_WILLNEED)
            except OSError as error:
                warn_unsupported(self.path(file), error, NO_ADVICE)
                self._takes_advice = False

    def read(self, file: int, offset: int, size: int) -> bytes:
        """Returns `size` bytes from `offset`.

        Raises:
          ArchiveError: if the file cannot be read, has changed, or is too short.
        """
        if self._prefetched:
            return self._prefetched.result(Range(file, offset, size))
        return self._read(file, offset, size)

    def _read(self, file: int, offset: int, size: int) -> bytes:
        descriptor = self._opened.get(file) or self._open(file)
        try:
            data = os.pread(descriptor.fd, size, offset)
            while len(data) < size:
                at = offset + len(data)
                more = os.pread(descriptor.fd, size - len(data), at)
                if not more:
                    raise ends_early(self.path(file), at, self.size(file))
                data += more
        except OSError as error:
            raise unreadable(self.path(file), offset, error) from error
        return data

    def _open(self, file: int) -> _OpenFile:
        opened = self._open_now(file)
        with self._lock:
            if self._max_open is None:
                self._max_open = _most_open()
            self._opened[file] = opened
            while len(self._opened) > self._max_open:
                self._opened.pop(next(iter(self._opened)))
        return opened

    def _open_now(self, file: int) -> _OpenFile:
        path = self.path(file)
        deadline = time.monotonic() + _SECONDS_TO_WAIT_FOR_A_DESCRIPTOR
        while True:
            try:
                # A FIFO that replaced the file must not block this process.
                flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
                opened = _OpenFile(os.open(path, flags))
                break
            except OSError as error:
                if error.errno in _TOO_MANY_OPEN and time.monotonic() < deadline:
                    with self._lock:
                        self._opened.clear()
                    time.sleep(0.01)  # Other threads may close files meanwhile.
                    continue
                raise cannot_open(path, error) from error
        self.table.ensure_unchanged(file, status_of(os.fstat(opened.fd)))
        if self._takes_advice:
            # The data after a header is not needed: turn off read-ahead.
            with contextlib.suppress(OSError):
                os.posix_fadvise(opened.fd, 0, 0, os.POSIX_FADV_RANDOM)
        return opened


class _OpenFile:
    """A file descriptor that is closed with its last reference."""

    def __init__(self, fd: int):
        self.fd = fd

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self.fd)


class ReadsAhead:
    """Prefetches ranges in threads."""

    def __init__(
        self,
        read: Callable[[int, int, int], bytes],
        pool: concurrent.futures.ThreadPoolExecutor,
    ):
        self._read = read
        self._pool = pool
        self._started: dict[Range, concurrent.futures.Future[bytes]] = {}

    def start(self, one: Range) -> None:
        """Starts to read a range."""
        self._started[one] = self._pool.submit(self._read, *one)

    def result(self, one: Range) -> bytes:
        """Returns the bytes of a range, prefetched or not."""
        started = self._started.pop(one, None)
        return started.result() if started else self._read(*one)

    def close(self) -> None:
        """Cancels the ranges that were prefetched but not read."""
        while self._started:
            self._started.popitem()[1].cancel()


def read_in_order(files: Files, ranges: Sequence[Range]) -> Iterator[bytes]:
    """Yields the bytes of each range in order, with the next ones prefetched.

    Raises:
      ArchiveError: as `Files.read`.
    """
    for one in ranges[: files.ahead]:
        files.prefetch(*one)
    for number, one in enumerate(ranges):
        yield files.read(*one)
        if number + files.ahead < len(ranges):
            files.prefetch(*ranges[number + files.ahead])


def cannot_open(path: str, error: OSError) -> ArchiveError:
    """Returns the error for a file that cannot be opened."""
    if error.errno in _TOO_MANY_OPEN:
        return ArchiveError(
            path,
            "cannot be opened (too many open files)",
            "Allow the process more (ulimit -n), or build with fewer workers",
        )
    return ArchiveError(
        path,
        f"cannot be opened ({error.strerror or error})",
        "Check that it exists and that the user who builds the dataset may read it; "
        f"{LEAVE_ALONE}",
    )


def unreadable(path: str, offset: int, error: OSError) -> ArchiveError:
    """Returns the error for a file that can no longer be read."""
    reason = error.strerror or error
    return ArchiveError(
        path, f"cannot be read at byte {offset:,} ({reason})", _READ_FAILED
    )


def ends_early(path: str, offset: int, size: int) -> ArchiveError:
    """Returns the error for a file that was truncated after it was found."""
    return ArchiveError(
        path, f"ends at byte {offset:,}, but had {size:,} bytes before", _READ_FAILED
    )


def more_open_files() -> int | None:
    """Returns how many more files this process may open; None if there is no limit."""
    if sys.platform == "win32":
        return None
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return None
    try:
        return allowed - len(os.listdir("/dev/fd"))
    except OSError:
        return allowed - _OPEN_AT_START


def warn_unsupported(
    path: os.PathLike[str] | str, error: OSError, limitation: str
) -> None:
    """Warns once for each file system that it does not support a call.

    Args:
      path: a file on it.
      error: what the call raised.
      limitation: the consequence, for the warning.

    Raises:
      OSError: `error`, if it has a different cause.
    """
    if error.errno not in _UNSUPPORTED:
        raise error
    key = (os.stat(path).st_dev, limitation)
    if key not in _warned:
        _warned.add(key)
        logging.warning("The file system of %s %s", path, limitation)


def _most_open() -> int:
    """Returns how many files to keep open: a quarter of what the process may open."""
    if (more := more_open_files()) is None:
        return _MAX_OPEN_PER_READER
    return max(4, min(_MAX_OPEN_PER_READER, more // 4))
