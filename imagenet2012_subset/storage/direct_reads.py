"""Direct reads for one file or many: lent while they are wanted, kept for the next."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.storage.queue import Extent

# To set up direct reads and to end them takes as long as to read a few extents.
_WORTH_A_SET_UP = 8

# To open a file on a disk of this machine takes ten microseconds. Where it always takes
# longer, as over a network, threads open several at a time. Now and then it takes
# longer anywhere, as when another thread has Python's lock.
_SLOW_SECONDS_AN_OPEN = 200e-6
_JUDGED_AFTER = 64

TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)

# Others on this machine may have as many direct reads set up as it allows, for a while.
_NONE_LEFT_NOW = (*TOO_MANY_OPEN, errno.EAGAIN)


class DirectReads:
    """Direct reads that were set up, for whichever files are read next."""

    def __init__(self) -> None:
        self._idle: dict[tuple[int, int], list[LinuxAio]] = {}
        self._lock = threading.Lock()
        self._are_had = True
        self._num_opened = 0
        self._quickest_open = float("inf")

    def note_opened(self, count: int, seconds: float) -> None:
        """Takes note of how long it took to open so many files one after the other."""
        with self._lock:
            self._num_opened += count
            self._quickest_open = min(self._quickest_open, seconds / count)

    @property
    def are_quick(self) -> bool:
        """Whether files open so quickly that one thread can open them all."""
        return (
            self._num_opened < _JUDGED_AFTER
            or self._quickest_open < _SLOW_SECONDS_AN_OPEN
        )

    @contextlib.contextmanager
    def lend(
        self, descriptor: Callable[[], int], capacity: int, size: int
    ) -> Iterator[LinuxAio | None]:
        """Lends direct reads to one thread; none where the platform has none.

        Args:
          descriptor: opens one of the files that will be read; it is closed here.
          capacity: how many reads may be under way at once.
          size: how many bytes most of them have at the most.
        """
        aio = self._take(descriptor, capacity, size)
        try:
            yield aio
        except BaseException:
            # An interrupt may come before it is noted what the kernel did.
            if aio:
                aio.close()
            raise
        if aio and aio.is_slow:
            self._are_had = False
        elif aio:
            with self._lock:
                self._idle.setdefault((capacity, size), []).append(aio)

    def _take(
        self, descriptor: Callable[[], int], capacity: int, size: int
    ) -> LinuxAio | None:
        if capacity < _WORTH_A_SET_UP or not self._are_had or not self.are_quick:
            return None
        with self._lock:
            idle = self._idle.get((capacity, size), [])
            while idle:
                if not (aio := idle.pop()).is_inherited:
                    return aio
        try:
            opened = descriptor()
        except OSError:
            return None
        try:
            # By its path it could be another file by now.
            path = f"/proc/self/fd/{opened}"
            return LinuxAio(path, capacity, -(-size // ALIGNMENT) * ALIGNMENT)
        except OSError as error:
            if error.errno not in _NONE_LEFT_NOW:
                self._are_had = False
            return None
        finally:
            os.close(opened)


def covering(
    offsets: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns where to start to read directly for each extent, and how many bytes."""
    starts = offsets // ALIGNMENT * ALIGNMENT
    return starts, -(-(offsets + sizes) // ALIGNMENT) * ALIGNMENT - starts


def take_ended(
    aio: LinuxAio,
    under_way: dict[int, Extent],
    file: File,
    at_least: int,
) -> list[tuple[int, memoryview]]:
    """Waits for some direct reads; returns their slots with what was to be read.

    Args:
      aio: the reads.
      under_way: the extent of each slot, counted from a multiple of `ALIGNMENT`. Those
        that ended are taken out.
      file: what is read once more where that failed, in the way that says what is
        wrong.
      at_least: how many to wait for.
    """
    slots, lengths = aio.wait(at_least)
    views = aio.views
    taken = []
    for slot, length in zip(slots.tolist(), lengths.tolist(), strict=True):
        offset, size = under_way.pop(slot)
        start = offset % ALIGNMENT
        if length >= start + size:
            data = views[slot][start : start + size]
        else:
            data = memoryview(file.read(offset, size))
        taken.append((slot, data))
    return taken
