"""Blocks at many places of an archive, asked for ahead and taken as they come."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.tar_headers import BLOCK

# To set up direct reads and to end them takes as long as to read many headers.
_WORTH_A_SET_UP = 32

# So many blocks take hardly longer to parse than one does.
_FEW = 16

T = TypeVar("T")
Blocks = npt.NDArray[np.uint8]


class BlockReads(Generic[T]):
    """Reads of 512 bytes each, of which up to `capacity` are under way.

    Many at a time are read directly from the disk, where platform and file system can
    do so, and all others with the platform advised of what will be read.
    """

    def __init__(self, file: ArchiveFile, capacity: int):
        self._file = file
        self._capacity = capacity
        self._advised: _AdvisedReads[T] = _AdvisedReads(file, capacity)
        self._direct: _DirectReads[T] | None = None
        self._may_be_direct = True

    @property
    def under_way(self) -> int:
        """How many reads were asked for and not taken."""
        return self._advised.under_way + (self._direct.under_way if self._direct else 0)

    def ask(self, items: Sequence[T], offsets: Sequence[int]) -> None:
        """Starts to read the block at each offset.

        Args:
          items: what to call each when it is taken.
          offsets: where each begins, in bytes.
        """
        started = 0
        if direct := self._direct_for(len(items)):
            started = direct.ask(items, offsets)
            self._may_be_direct = started == len(items) and not direct.is_slow
        self._advised.ask(items[started:], offsets[started:])

    def take(self) -> tuple[list[T], Blocks]:
        """Waits for some blocks, and returns their items and the blocks themselves.

        The blocks are of shape (n, 512), n at least 1 if any are under way.

        Raises:
          ArchiveError: if the file cannot be read or ends before a block does.
        """
        items: list[T] = []
        blocks = [np.zeros((0, BLOCK), np.uint8)]
        for reads in (self._direct, self._advised):
            if reads and reads.under_way:
                some_items, some_blocks = reads.take()
                items += some_items
                blocks.append(some_blocks)
        return items, np.concatenate(blocks)

    def close(self) -> None:
        """Ends what is under way."""
        if self._direct:
            self._direct.close()

    def _direct_for(self, num_asked: int) -> _DirectReads[T] | None:
        if not self._may_be_direct:
            return None
        if not self._direct and self.under_way + num_asked >= _WORTH_A_SET_UP:
            if aio := self._file.direct_reads(self._capacity, ALIGNMENT):
                self._direct = _DirectReads(self._file, aio)
            else:
                self._may_be_direct = False
        return self._direct


class _AdvisedReads(Generic[T]):
    """Reads in the order in which they were asked for."""

    def __init__(self, file: ArchiveFile, capacity: int):
        self._file = file
        self._waiting: collections.deque[tuple[T, int]] = collections.deque()
        self._blocks = np.zeros((capacity, BLOCK), np.uint8)
        self._rows = [memoryview(self._blocks[i]) for i in range(capacity)]

    @property
    def under_way(self) -> int:
        return len(self._waiting)

    def ask(self, items: Sequence[T], offsets: Sequence[int]) -> None:
        for offset in offsets:
            self._file.will_need(offset, BLOCK)
        self._waiting.extend(zip(items, offsets, strict=True))

    def take(self) -> tuple[list[T], Blocks]:
        # While one half is parsed, the platform fetches the other.
        count = min(len(self._waiting), max(_FEW, (len(self._waiting) + 1) // 2))
        taken = [self._waiting.popleft() for _ in range(count)]
        self._file.read_each(self._rows, [offset for _, offset in taken])
        return [item for item, _ in taken], self._blocks[:count]


class _DirectReads(Generic[T]):
    """Reads in the order in which the disk serves them."""

    def __init__(self, file: ArchiveFile, aio: LinuxAio):
        self._file = file
        self._aio = aio
        capacity = len(aio.blocks)
        self._pages = aio.blocks.reshape(capacity, -1, BLOCK)
        self._items: list[Any] = [None] * capacity
        self._offsets = np.zeros(capacity, np.int64)
        self._free = list(range(capacity))

    @property
    def under_way(self) -> int:
        return len(self._items) - len(self._free)

    @property
    def is_slow(self) -> bool:
        return self._aio.is_slow

    def ask(self, items: Sequence[T], offsets: Sequence[int]) -> int:
        """Returns how many of the reads, from the first on, are under way now."""
        places = [self._free.pop() for _ in items]
        for place, item in zip(places, items, strict=True):
            self._items[place] = item
        self._offsets[places] = offsets
        started = self._aio.submit(
            np.array(places, np.int64),
            self._offsets[places] // ALIGNMENT * ALIGNMENT,
            np.full(len(places), ALIGNMENT),
        )
        self._free += places[started:]
        return started

    def take(self) -> tuple[list[T], Blocks]:
        places, lengths = self._aio.wait(at_least=(self.under_way + 2) // 3)
        offsets = self._offsets[places]
        within = offsets % ALIGNMENT
        blocks = self._pages[places, within // BLOCK]
        # What failed is read once more, in the way that says what is wrong.
        for i in np.flatnonzero(lengths < within + BLOCK).tolist():
            self._file.read_into(memoryview(blocks[i]), int(offsets[i]))
        done = places.tolist()
        self._free += done
        return [self._items[place] for place in done], blocks

    def close(self) -> None:
        self._aio.close()
