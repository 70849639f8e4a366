"""A file at an object store: many ranges of it under way at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from etils import epath

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError
from imagenet2012_subset.storage.file import Place, ends_early
from imagenet2012_subset.storage.remote.queue import RemoteQueue
from imagenet2012_subset.storage.remote.store import (
    MAX_CONNECTIONS,
    ObjectStatus,
    Replaced,
    StoredObject,
    find_object,
)
from imagenet2012_subset.storage.remote.stretches import ReadOn

if TYPE_CHECKING:
    from imagenet2012_subset.storage.remote.ranges import PlainReads


class RemoteFile:
    """A `File` read by requests for ranges.

    Attributes:
      bytes_read: how many bytes all requests so far have brought, or are to bring.
    """

    # Each waits for tens of milliseconds, and next to nothing of that is work.
    small_in_flight = MAX_CONNECTIONS
    large_in_flight = 64

    def __init__(self, path: epath.Path):
        """Asks the store for the object's size and version.

        Raises:
          ManualDirError: if the store's client is not installed.
          OSError: if there is no such object, or it may not be read.
        """
        self.path = path
        self._stored = find_object(path)
        self._status = self._stored.status()
        self.size = self._status.size
        self.mtime_ns = self._status.mtime_ns
        self.bytes_read = 0
        self._plain_reads = _plain_reads(self._stored, self._status)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where `fetch` is to be awaited."""
        return self._stored.client.loop

    def read(self, offset: int, size: int) -> bytes:
        self.bytes_read += size
        fetched = asyncio.run_coroutine_threadsafe(self.fetch(offset, size), self.loop)
        return fetched.result()

    def place(self, offset: int) -> Place:
        return Place(self.path, offset, self.size)

    async def fetch(self, offset: int, size: int) -> bytes:
        """Returns the `size` bytes that start at `offset`.

        Raises:
          ArchiveError: as `read`.
        """
        if size == 0:
            return b""
        try:
            data = await self._read(offset, size)
        except Replaced as error:
            raise self._replaced(f"when byte {offset:,} was read") from error
        except Exception as error:  # Each client has kinds of its own.
            raise ArchiveError(
                self.path,
                f"cannot be read at byte {offset:,} ({_reason(error)})",
                "See that the store can be reached and that you may read the object, "
                "then build again",
            ) from error
        if len(data) < size:
            raise ends_early(self.path, offset + len(data))
        return data

    async def _read(self, offset: int, size: int) -> bytes:
        if self._plain_reads:
            data = await self._plain_reads.read(offset, size)
            if data is not None:
                return data
        return await self._stored.read(offset, size, self._status.generation)

    @contextlib.contextmanager
    def queue(self, capacity: int, size: int) -> Iterator[RemoteQueue]:
        del size
        queue = RemoteQueue(self, ReadOn(capacity))
        try:
            yield queue
        finally:
            queue.close()
        self._see_that_it_is_the_same()

    def _see_that_it_is_the_same(self) -> None:
        try:
            status = self._stored.status()
        except FileNotFoundError as error:
            raise self._replaced("when all was read") from error
        except Exception as error:
            raise ArchiveError(
                self.path,
                f"cannot be asked for ({_reason(error)})",
                "See that the store can be reached, then build again",
            ) from error
        if status != self._status:
            raise self._replaced("when all was read")

    def _replaced(self, when: str) -> ArchiveError:
        return ArchiveError(
            self.path,
            f"is no longer the object that it was before: another was there, or none, "
            f"{when}",
            f"Let it be; {LEAVE_ALONE}",
        )


def _plain_reads(stored: StoredObject, status: ObjectStatus) -> PlainReads | None:
    if stored.scheme not in ("s3", "gs"):
        return None
    # What it is made with comes with the clients of these stores alone.
    from imagenet2012_subset.storage.remote.ranges import PlainReads

    return PlainReads(stored, status)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
