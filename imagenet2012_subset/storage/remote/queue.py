"""Requests for ranges of an object, and what they bring, taken as it comes."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.queue import Extent
from imagenet2012_subset.storage.remote.stretches import ReadOn


class Fetcher(Protocol):
    """What gets ranges of one object.

    Attributes:
      size: the object's length in bytes.
      bytes_read: how many bytes were asked for.
    """

    size: int
    bytes_read: int

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where the store's client runs."""

    async def fetch(self, offset: int, size: int) -> bytes:
        """Returns the `size` bytes that start at `offset`.

        Raises:
          ArchiveError: if the object cannot be read.
        """


class _Stretch(NamedTuple):
    """Bytes that are here, from an offset of the object on."""

    offset: int
    data: memoryview

    def part(self, extent: Extent) -> memoryview | None:
        start = extent.offset - self.offset
        if start < 0 or start + extent.size > len(self.data):
            return None
        return self.data[start : start + extent.size]


_NOTHING = _Stretch(0, memoryview(b""))


class RemoteQueue:
    """A `ReadQueue` whose reads are tasks of the store's client."""

    def __init__(self, file: Fetcher, read_on: ReadOn):
        self._file = file
        self._read_on = read_on
        self._held: dict[int, _Stretch] = {}
        self._extents: dict[int, Extent] = {}
        self._here: list[tuple[int, memoryview]] = []
        self._done: queue.SimpleQueue[tuple[int, bytes | ArchiveError]]
        self._done = queue.SimpleQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._num_asked = 0

    def ask(
        self,
        slots: Sequence[int],
        extents: Sequence[Extent],
        ends: Sequence[int] | None = None,
    ) -> None:
        wanted = []
        self._num_asked += len(slots)
        for number, (slot, extent) in enumerate(zip(slots, extents, strict=True)):
            if (part := self._held.get(slot, _NOTHING).part(extent)) is not None:
                self._here.append((slot, part))
                continue
            self._extents[slot] = extent
            size = extent.size
            if ends:
                size = self._with_what_follows(slot, extent, ends[number])
            self._file.bytes_read += size
            wanted.append((slot, Extent(extent.offset, size)))
        if wanted:
            self._file.loop.call_soon_threadsafe(self._start, wanted)

    def _with_what_follows(self, slot: int, extent: Extent, end: int) -> int:
        """Returns how much to read from the start of an extent on."""
        if slot in self._held:
            self._read_on.note_step(extent.offset - self._held[slot].offset)
        size = min(self._read_on.size, end - extent.offset)
        # Reading on never takes more bytes than there are: what is left over is for the
        # few places that are read twice to find a header.
        left = self._file.size - self._file.size // 64 - self._file.bytes_read
        return size if extent.size < size <= left else extent.size

    def _start(self, wanted: Sequence[tuple[int, Extent]]) -> None:
        for slot, extent in wanted:
            task = asyncio.ensure_future(self._fetch(slot, extent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fetch(self, slot: int, extent: Extent) -> None:
        try:
            self._done.put((slot, await self._file.fetch(*extent)))
        except ArchiveError as error:
            self._done.put((slot, error))

    def take(self, at_least: int = 1) -> list[tuple[int, memoryview]]:
        taken, self._here = self._here, []
        num_fetched = 0
        # What is here goes on at once: its next reads are to be asked for.
        wait_for = 0 if taken else at_least
        while num_fetched < wait_for or not self._done.empty():
            slot, data = self._done.get()
            if isinstance(data, ArchiveError):
                raise data
            extent = self._extents[slot]
            self._held[slot] = _Stretch(extent.offset, memoryview(data))
            taken.append((slot, self._held[slot].data[: extent.size]))
            num_fetched += 1
        now = time.monotonic()
        self._read_on.note(num_fetched, len(taken), self._num_asked, now)
        self._num_asked -= len(taken)
        return taken

    def close(self) -> None:
        """Lets go of what is still under way."""
        self._file.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()
