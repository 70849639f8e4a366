"""Many files read as one, each opened when it is wanted and not before.

A tree has a file for each image, and a thousand tars are more than many a process may
have open at once. So they lie one after the other in a space of their own, and who
reads there is given bytes of whichever file it is.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import os
import time
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from etils import epath

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError
from imagenet2012_subset.storage.direct_reads import (
    TOO_MANY_OPEN,
    DirectReads,
    covering,
    take_ended,
)
from imagenet2012_subset.storage.file import Place, ends_early, unreadable
from imagenet2012_subset.storage.folders import Status, status_of
from imagenet2012_subset.storage.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.storage.portable_file import ThreadedQueue
from imagenet2012_subset.storage.queue import Extent

_CHANGED = f"The file changed since it was found; {LEAVE_ALONE}"

_THREADS = 16

_TRIES_TO_OPEN = 500
_SECONDS_BETWEEN_TRIES = 0.01


class ManyFiles:
    """A `File` of many files; only what is read of it is opened.

    Attributes:
      path: what to call all of them.
      starts: int64, shape (n,): where each file begins, a multiple of `ALIGNMENT`.
      size: where the last one ends.
      mtime_ns: of the one that changed last, in nanoseconds since the epoch.
    """

    small_in_flight = 256
    large_in_flight = 16

    def __init__(
        self,
        path: epath.Path,
        paths: Sequence[str],
        sizes: npt.NDArray[np.int64],
        changed_ns: npt.NDArray[np.int64],
        direct_reads: DirectReads,
    ):
        """Takes files as they were found.

        Args:
          path: what to call all of them.
          paths: where they are.
          sizes: int64, shape (n,), in bytes.
          changed_ns: int64, shape (n,): when each changed last. A file that has
            another size or time when it is opened is an error.
          direct_reads: shared by all that read from the same disk.
        """
        # One byte more than each has, so that its end is not the next one's start.
        spaces = (sizes // ALIGNMENT + 1) * ALIGNMENT
        ends = np.cumsum(spaces)
        self.path = path
        self.starts = ends - spaces
        self.size = int(ends[-1]) if len(ends) else 0
        self.mtime_ns = int(changed_ns.max(initial=0))
        self._paths = paths
        self._sizes = sizes
        self._changed_ns = changed_ns
        self._direct_reads = direct_reads
        # Makes its threads when they are given work, so that none may ever be.
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS)

    def number_of(self, offset: int) -> int:
        """Returns which of the files has the byte at `offset`."""
        return int(np.searchsorted(self.starts, offset, side="right")) - 1

    def place(self, offset: int) -> Place:
        number = self.number_of(offset)
        start, size = int(self.starts[number]), int(self._sizes[number])
        return Place(epath.Path(self._paths[number]), offset - start, size)

    def open(self, number: int, flags: int = 0) -> int:
        """Returns a descriptor of one of the files.

        Raises:
          ArchiveError: if it cannot be opened, or is not what was found.
          OSError: if the process has too many files open, or the flags are not for it.
        """
        path = self._paths[number]
        try:
            # A FIFO that took the file's place must not make this wait.
            descriptor = os.open(
                path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags
            )
        except OSError as error:
            if error.errno == errno.EINVAL or error.errno in TOO_MANY_OPEN:
                raise
            raise ArchiveError(
                path,
                f"cannot be opened ({error.strerror or error})",
                "See that it is there and that the user who builds the dataset may "
                f"read it; {LEAVE_ALONE}",
            ) from error
        found = Status(int(self._sizes[number]), int(self._changed_ns[number]))
        now = status_of(os.fstat(descriptor))
        if now != found:
            os.close(descriptor)
            problem = (
                f"is now {now.what}"
                if now.what
                else f"had {found.size:,} bytes and now has {now.size:,}"
                if now.size != found.size
                else "was written to or replaced while the dataset was being built"
            )
            raise ArchiveError(path, problem, _CHANGED)
        return descriptor

    def read(self, offset: int, size: int) -> bytes:
        number = self.number_of(offset)
        path = epath.Path(self._paths[number])
        at = offset - int(self.starts[number])
        descriptor = self._open_in_time(number)
        try:
            data = os.pread(descriptor, size, at)
            while len(data) < size:
                more = os.pread(descriptor, size - len(data), at + len(data))
                if not more:
                    raise ends_early(path, at + len(data))
                data += more
        except OSError as error:
            raise unreadable(path, at, error) from error
        finally:
            os.close(descriptor)
        return data

    def _open_in_time(self, number: int) -> int:
        for _ in range(_TRIES_TO_OPEN):
            try:
                return self.open(number)
            except OSError as error:
                if error.errno not in TOO_MANY_OPEN:
                    raise unreadable(
                        epath.Path(self._paths[number]), 0, error
                    ) from error
            time.sleep(_SECONDS_BETWEEN_TRIES)  # Other threads close theirs meanwhile.
        raise ArchiveError(
            self._paths[number],
            "cannot be opened (too many open files)",
            "Allow the process more (ulimit -n), or build with fewer workers",
        )

    @contextlib.contextmanager
    def queue(self, capacity: int, size: int) -> Iterator[ManyFilesQueue]:
        with (
            self._direct_reads.lend(lambda: self.open(0), capacity, size) as aio,
            contextlib.ExitStack() as stack,
        ):
            queue = ManyFilesQueue(self, aio, self._direct_reads, self._threads)
            stack.callback(queue.close)
            yield queue


class ManyFilesQueue:
    """A `ReadQueue` of direct reads; what they do not take is read in threads.

    A slot that is read into from one file again and again keeps that file open: so does
    who walks through many tars in step. A file that is read once is closed at once; the
    kernel goes on reading it all the same.
    """

    def __init__(
        self,
        files: ManyFiles,
        aio: LinuxAio | None,
        direct_reads: DirectReads,
        threads: concurrent.futures.ThreadPoolExecutor,
    ):
        self._files = files
        self._aio = aio
        self._direct_reads = direct_reads
        self._threaded = ThreadedQueue(files, threads)
        self._num_threaded = 0
        self._read_last: dict[int, int] = {}  # By slot: which file.
        self._kept: dict[int, int] = {}  # By slot: that file's descriptor.
        self._may_keep = True
        self._extents: dict[int, Extent] = {}  # Of the slots that are read directly.

    def close(self) -> None:
        """Closes the files that it keeps open."""
        while self._kept:
            os.close(self._kept.popitem()[1])

    def ask(
        self,
        slots: Sequence[int],
        extents: Sequence[Extent],
        ends: Sequence[int] | None = None,
    ) -> None:
        del ends
        directly = self._ask_directly(slots, extents)
        others = [i for i, slot in enumerate(slots) if slot not in directly]
        if others:
            self._num_threaded += len(others)
            self._threaded.ask([slots[i] for i in others], [extents[i] for i in others])

    def _ask_directly(
        self, slots: Sequence[int], extents: Sequence[Extent]
    ) -> frozenset[int]:
        """Returns the slots that the kernel has begun to fill."""
        if not self._aio or not slots or self._aio.is_slow:
            return frozenset()
        if not self._direct_reads.are_quick:
            return frozenset()
        offsets, sizes = np.array(extents, np.int64).T
        numbers = np.searchsorted(self._files.starts, offsets, side="right") - 1
        starts, lengths = covering(offsets - self._files.starts[numbers], sizes)
        with self._descriptors(slots, numbers.tolist()) as descriptors:
            fits = (lengths <= self._aio.slot_bytes) & (descriptors >= 0)
            asked = np.array(slots, np.int64)[fits]
            count = self._aio.submit(
                asked, starts[fits], lengths[fits], descriptors[fits]
            )
        begun = frozenset(asked[:count].tolist())
        of_slot = zip(slots, extents, strict=True)
        self._extents.update((slot, one) for slot, one in of_slot if slot in begun)
        return begun

    @contextlib.contextmanager
    def _descriptors(
        self, slots: Sequence[int], numbers: Sequence[int]
    ) -> Iterator[npt.NDArray[np.int64]]:
        """Lends open files for the slots; below zero where one takes none."""
        begin = time.perf_counter()
        to_close: list[int] = []
        num_opened = 0
        try:
            descriptors = []
            for slot, number in zip(slots, numbers, strict=True):
                is_same = self._read_last.get(slot) == number
                if is_same and slot in self._kept:
                    descriptors.append(self._kept[slot])
                    continue
                if slot in self._kept:
                    os.close(self._kept.pop(slot))
                descriptor = self._open_directly(number)
                descriptors.append(descriptor)
                num_opened += 1
                self._read_last[slot] = number
                if descriptor < 0:
                    continue
                if is_same and self._may_keep:
                    self._kept[slot] = descriptor
                else:
                    to_close.append(descriptor)
            if num_opened:
                seconds = time.perf_counter() - begin
                self._direct_reads.note_opened(num_opened, seconds)
            yield np.array(descriptors, np.int64)
        finally:
            for descriptor in to_close:
                os.close(descriptor)
            if not self._may_keep:
                self.close()

    def _open_directly(self, number: int) -> int:
        try:
            return self._files.open(number, os.O_DIRECT)
        except OSError as error:
            if error.errno in TOO_MANY_OPEN:
                self._may_keep = False
            return -1

    def take(self, at_least: int = 1) -> list[tuple[int, memoryview]]:
        taken: list[tuple[int, memoryview]] = []
        if self._num_threaded:
            taken += self._threaded.take(min(at_least, self._num_threaded))
            self._num_threaded -= len(taken)
        if self._aio and self._extents and len(taken) < at_least:
            more = at_least - len(taken)
            taken += take_ended(self._aio, self._extents, self._files, more)
        return taken
