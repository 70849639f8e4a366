"""A file that tells how often somebody had to wait for its reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from etils import epath

from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.queue import Extent, ReadQueue


class _CountingQueue:
    """Counts how often somebody had to wait for reads."""

    def __init__(self, queue: ReadQueue, counts: list[int]):
        self._queue = queue
        self._counts = counts

    def ask(
        self,
        slots: Sequence[int],
        extents: Sequence[Extent],
        ends: Sequence[int] | None = None,
    ) -> None:
        self._queue.ask(slots, extents, ends)

    def take(self, at_least: int = 1) -> list[tuple[int, memoryview]]:
        taken = self._queue.take(at_least)
        self._counts.append(len(taken))
        return taken


class CountingFile(LocalFile):
    """Notes how many reads ended at each time that somebody waited for some."""

    def __init__(self, path: epath.Path):
        super().__init__(path)
        self.counts: list[int] = []

    @contextlib.contextmanager
    def queue(self, capacity: int, size: int) -> Iterator[_CountingQueue]:
        with super().queue(capacity, size) as queue:
            yield _CountingQueue(queue, self.counts)
