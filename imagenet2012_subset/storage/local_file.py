"""A file on a POSIX file system: one descriptor, positioned reads, advice."""

from __future__ import annotations

import collections
import contextlib
import itertools
import mmap
import os
from collections.abc import Iterator, Sequence

import numpy as np
from etils import epath

from imagenet2012_subset.storage.direct_reads import DirectReads, covering, take_ended
from imagenet2012_subset.storage.file import Place, ends_early, unreadable
from imagenet2012_subset.storage.linux_aio import LinuxAio
from imagenet2012_subset.storage.queue import Extent
from imagenet2012_subset.storage.unsupported import NO_ADVICE, tell_unsupported


class LocalFile:
    """A `File` whose queues read directly from the disk where the platform can."""

    # 256 headers under way are what one disk serves at its best.
    small_in_flight = 256
    # While half of these are used, the disk fetches the other half.
    large_in_flight = 16

    def __init__(self, path: epath.Path):
        """Opens the file.

        Raises:
          OSError: if it cannot be opened.
        """
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns
        # Reads jump from header to header: what follows a header is not wanted.
        self._advise(0, 0, os.POSIX_FADV_RANDOM)
        self._direct_reads = DirectReads()

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        data = self._read_some(offset, size)
        while len(data) < size:
            more = self._read_some(offset + len(data), size - len(data))
            if not more:
                raise ends_early(self.path, offset + len(data))
            data += more
        return data

    def _read_some(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise unreadable(self.path, offset, error) from error

    def will_need(self, extent: Extent) -> None:
        """Lets the platform fetch an extent ahead of a later read."""
        self._advise(*extent, os.POSIX_FADV_WILLNEED)

    def will_not_need(self, extent: Extent) -> None:
        """Lets the platform forget the pages that an extent lies on."""
        start = extent.offset // mmap.PAGESIZE * mmap.PAGESIZE
        end = -(-(extent.offset + extent.size) // mmap.PAGESIZE) * mmap.PAGESIZE
        self._advise(start, end - start, os.POSIX_FADV_DONTNEED)

    def _advise(self, offset: int, size: int, advice: int) -> None:
        try:
            os.posix_fadvise(self._descriptor, offset, size, advice)
        except OSError as error:
            tell_unsupported(self.path, error, NO_ADVICE)

    def place(self, offset: int) -> Place:
        return Place(self.path, offset, self.size)

    @contextlib.contextmanager
    def queue(self, capacity: int, size: int) -> Iterator[LocalQueue]:
        with self._direct_reads.lend(
            lambda: os.dup(self._descriptor), capacity, size
        ) as aio:
            yield LocalQueue(self, aio)


class LocalQueue:
    """A `ReadQueue` of direct reads; what they do not take is read with advice."""

    def __init__(self, file: LocalFile, aio: LinuxAio | None):
        self._file = file
        self._aio = aio
        self._advised: collections.deque[tuple[int, Extent]] = collections.deque()
        self._extents: dict[int, Extent] = {}  # Of the slots that are read directly.

    def ask(
        self,
        slots: Sequence[int],
        extents: Sequence[Extent],
        ends: Sequence[int] | None = None,
    ) -> None:
        del ends
        started = self._ask_directly(slots, extents) if self._aio else frozenset()
        if len(started) == len(slots):
            self._extents.update(zip(slots, extents, strict=True))
            return
        for slot, extent in zip(slots, extents, strict=True):
            if slot in started:
                self._extents[slot] = extent
            else:
                self._file.will_need(extent)
                self._advised.append((slot, extent))

    def _ask_directly(
        self, slots: Sequence[int], extents: Sequence[Extent]
    ) -> frozenset[int]:
        """Returns the slots that the kernel has begun to fill."""
        assert self._aio
        if self._aio.is_slow or not slots:
            return frozenset()
        # Twice as quick as an array of the extents, and there are a million of them.
        numbers = itertools.chain.from_iterable(extents)
        offsets, sizes = np.fromiter(numbers, np.int64).reshape(-1, 2).T
        starts, lengths = covering(offsets, sizes)
        fits = lengths <= self._aio.slot_bytes
        asked = np.array(slots, np.int64)[fits]
        count = self._aio.submit(asked, starts[fits], lengths[fits])
        return frozenset(asked[:count].tolist())

    def take(self, at_least: int = 1) -> list[tuple[int, memoryview]]:
        taken: list[tuple[int, memoryview]] = []
        while self._advised and len(taken) < at_least:
            slot, extent = self._advised.popleft()
            taken.append((slot, memoryview(self._file.read(*extent))))
            self._file.will_not_need(extent)
        if self._aio and self._extents and len(taken) < at_least:
            more = at_least - len(taken)
            taken += take_ended(self._aio, self._extents, self._file, more)
        return taken
