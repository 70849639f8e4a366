"""A file on any platform."""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence

from etils import epath

from imagenet2012_subset.storage.file import File, Place, ends_early, unreadable
from imagenet2012_subset.storage.queue import Extent

# Where the platform takes no advice on what to read ahead, threads keep several reads
# under way instead.
_THREADS = 16


class PortableFile:
    """A `File` that each thread reads through a handle of its own."""

    small_in_flight = 256
    large_in_flight = _THREADS

    def __init__(self, path: epath.Path):
        """Opens the file.

        Raises:
          OSError: if it cannot be opened.
        """
        self.path = path
        status = path.stat()
        self.size = status.length
        self.mtime_ns = int(status.mtime) * 10**9
        self._per_thread = threading.local()
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS)
        with path.open("rb"):
            pass  # What cannot be opened must fail now, not in a worker.

    def read(self, offset: int, size: int) -> bytes:
        try:
            if not hasattr(self._per_thread, "handle"):
                self._per_thread.handle = self.path.open("rb")
            self._per_thread.handle.seek(offset)
            data: bytes = self._per_thread.handle.read(size)
        except OSError as error:
            raise unreadable(self.path, offset, error) from error
        if len(data) < size:
            raise ends_early(self.path, offset + len(data))
        return data

    def place(self, offset: int) -> Place:
        return Place(self.path, offset, self.size)

    @contextlib.contextmanager
    def queue(self, capacity: int, size: int) -> Iterator[ThreadedQueue]:
        del capacity, size
        yield ThreadedQueue(self, self._threads)


class ThreadedQueue:
    """A `ReadQueue` whose reads wait in threads."""

    def __init__(self, file: File, threads: concurrent.futures.ThreadPoolExecutor):
        self._file = file
        self._threads = threads
        self._done: queue.SimpleQueue[tuple[int, bytes | Exception]]
        self._done = queue.SimpleQueue()

    def ask(
        self,
        slots: Sequence[int],
        extents: Sequence[Extent],
        ends: Sequence[int] | None = None,
    ) -> None:
        del ends
        asked = list(zip(slots, extents, strict=True))
        # To hand a read to a thread takes as long as a short read.
        for first in range(min(_THREADS, len(asked))):
            self._threads.submit(self._read, asked[first::_THREADS])

    def _read(self, asked: Sequence[tuple[int, Extent]]) -> None:
        for slot, extent in asked:
            try:
                self._done.put((slot, self._file.read(*extent)))
            except Exception as error:  # Else `take` would wait for ever.
                self._done.put((slot, error))

    def take(self, at_least: int = 1) -> list[tuple[int, memoryview]]:
        taken: list[tuple[int, memoryview]] = []
        while len(taken) < at_least or not self._done.empty():
            slot, data = self._done.get()
            if isinstance(data, Exception):
                raise data
            taken.append((slot, memoryview(data)))
        return taken
