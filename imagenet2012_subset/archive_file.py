"""Bytes of an archive, read at any offset by any number of threads."""

from __future__ import annotations

import concurrent.futures
import mmap
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from etils import epath

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.linux_aio import LinuxAio
from imagenet2012_subset.local import is_local

# Where the platform takes no advice on what to read ahead, threads keep several reads
# under way instead.
_PORTABLE_READS = 16

_CHANGED = (
    "The file changed or its disk failed while it was being read; see that nothing "
    "writes to it, then build again"
)


class ArchiveFile(Protocol):
    """An archive opened for reading; its methods may be called from any thread.

    Attributes:
      path: where the archive is.
      size: its length in bytes when it was opened.
      mtime_ns: when it was last modified, in nanoseconds since the epoch.
    """

    path: epath.Path
    size: int
    mtime_ns: int

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fills `buffer` with the bytes that start at `offset`.

        Raises:
          ArchiveError: if the file cannot be read or ends before the buffer is full.
        """

    def read_each(self, buffers: Iterable[memoryview], offsets: Sequence[int]) -> None:
        """Fills a buffer from each offset; buffers beyond them stay as they are.

        What the platform fetched along with each it may forget.

        Raises:
          ArchiveError: as `read_into`.
        """

    def direct_reads(self, capacity: int, size: int) -> LinuxAio | None:
        """Returns a way to read many places at once, where there is one.

        Args:
          capacity: how many.
          size: the most to read of each, in bytes.
        """

    def read(self, offset: int, size: int) -> bytes:
        """Returns the `size` bytes that start at `offset`.

        Raises:
          ArchiveError: if the file cannot be read or ends before that.
        """

    def will_need(self, offset: int, size: int) -> None:
        """Lets the platform fetch the bytes ahead of a later read, if it can."""

    def will_not_need(self, offset: int, size: int) -> None:
        """Lets the platform forget the bytes, if it keeps them in memory."""


def open_archive(path: epath.Path) -> ArchiveFile:
    """Opens an archive: by the quickest calls for a local file, else portably.

    Raises:
      ArchiveError: if it cannot be opened.
    """
    positioned_reads = hasattr(os, "preadv") and hasattr(os, "posix_fadvise")
    quick = positioned_reads and is_local(path)
    try:
        return LocalFile(path) if quick else PortableFile(path)
    except OSError as error:
        raise ArchiveError(
            path,
            f"cannot be opened ({error.strerror or error})",
            "Make it readable for the user who builds the dataset",
        ) from error


class LocalFile:
    """A file on a POSIX file system: one descriptor, positioned reads, advice."""

    def __init__(self, path: epath.Path):
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns
        # Reads jump from header to header: what follows a header is not wanted.
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._descriptor, [buffer[done:]], offset + done)
            except OSError as error:
                raise _unreadable(self.path, offset + done, error) from error
            if not count:
                raise _ends_early(self.path, offset + done)
            done += count

    def read_each(self, buffers: Iterable[memoryview], offsets: Sequence[int]) -> None:
        preadv, descriptor = os.preadv, self._descriptor
        for buffer, offset in zip(buffers, offsets, strict=False):
            try:
                count = preadv(descriptor, [buffer], offset)
            except OSError as error:
                raise _unreadable(self.path, offset, error) from error
            if count < len(buffer):
                self.read_into(buffer[count:], offset + count)
            page = offset // mmap.PAGESIZE * mmap.PAGESIZE
            self.will_not_need(page, mmap.PAGESIZE)

    def direct_reads(self, capacity: int, size: int) -> LinuxAio | None:
        try:
            # By its path it could be another file by now.
            return LinuxAio(f"/proc/self/fd/{self._descriptor}", capacity, size)
        except OSError:
            return None

    def read(self, offset: int, size: int) -> bytes:
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise _unreadable(self.path, offset, error) from error
        if len(data) < size:
            rest = bytearray(size - len(data))
            self.read_into(memoryview(rest), offset + len(data))
            data += rest
        return data

    def will_need(self, offset: int, size: int) -> None:
        os.posix_fadvise(self._descriptor, offset, size, os.POSIX_FADV_WILLNEED)

    def will_not_need(self, offset: int, size: int) -> None:
        os.posix_fadvise(self._descriptor, offset, size, os.POSIX_FADV_DONTNEED)


class PortableFile:
    """A file on any platform, or any storage that `etils.epath` opens.

    Each thread reads through a handle of its own.
    """

    def __init__(self, path: epath.Path):
        self.path = path
        status = path.stat()
        self.size = status.length
        self.mtime_ns = int(status.mtime) * 10**9
        self._per_thread = threading.local()
        self._threads = concurrent.futures.ThreadPoolExecutor(_PORTABLE_READS)
        with path.open("rb"):
            pass  # What cannot be opened must fail now, not in a worker.

    def read_into(self, buffer: memoryview, offset: int) -> None:
        buffer[:] = self.read(offset, len(buffer))

    def read_each(self, buffers: Iterable[memoryview], offsets: Sequence[int]) -> None:
        places = list(zip(buffers, offsets, strict=False))
        shares = [places[start::_PORTABLE_READS] for start in range(_PORTABLE_READS)]
        for _ in self._threads.map(self._read_share, filter(None, shares)):
            pass

    def direct_reads(self, capacity: int, size: int) -> LinuxAio | None:
        del capacity, size
        return None

    def _read_share(self, places: Sequence[tuple[memoryview, int]]) -> None:
        for buffer, offset in places:
            self.read_into(buffer, offset)

    def read(self, offset: int, size: int) -> bytes:
        try:
            if not hasattr(self._per_thread, "handle"):
                self._per_thread.handle = self.path.open("rb")
            self._per_thread.handle.seek(offset)
            data: bytes = self._per_thread.handle.read(size)
        except OSError as error:
            raise _unreadable(self.path, offset, error) from error
        if len(data) < size:
            raise _ends_early(self.path, offset + len(data))
        return data

    def will_need(self, offset: int, size: int) -> None:
        del offset, size

    def will_not_need(self, offset: int, size: int) -> None:
        del offset, size


def _unreadable(path: epath.Path, offset: int, error: OSError) -> ArchiveError:
    reason = error.strerror or error
    return ArchiveError(path, f"cannot be read at byte {offset:,} ({reason})", _CHANGED)


def _ends_early(path: epath.Path, offset: int) -> ArchiveError:
    return ArchiveError(
        path, f"ends at byte {offset:,}, though more was there", _CHANGED
    )
