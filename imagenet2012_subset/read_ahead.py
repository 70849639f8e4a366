"""Places of an archive read one after the other, while the disk fetches the next."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator, Sequence

import numpy as np

from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.linux_aio import ALIGNMENT, LinuxAio

# A batch is on its way while the one before is used.
_BATCH = 8

# Nearly all images are shorter; longer ones are read by themselves.
_DIRECT_BYTES = 512 << 10

# To set up direct reads takes as long as to read a few images.
_WORTH_A_SET_UP = 8

Place = tuple[int, int]  # Offset and length, in bytes.


def read_in_order(file: ArchiveFile, places: Sequence[Place]) -> Iterator[memoryview]:
    """Yields the bytes at each place in turn.

    The platform need not keep them: images are many, and each is read once, so they
    would take the place of all else that it caches.

    Args:
      file: the archive.
      places: (offset, length) in bytes. What is yielded stays until the next.

    Raises:
      ArchiveError: if the file cannot be read or ends before a place does.
    """
    if len(places) < _WORTH_A_SET_UP:
        yield from _with_advice(file, places)
        return
    with _lent_direct_reads(file) as aio:
        if aio:
            yield from _directly(file, aio, places)
        else:
            yield from _with_advice(file, places)


def _with_advice(file: ArchiveFile, places: Sequence[Place]) -> Iterator[memoryview]:
    ahead = 2 * _BATCH
    for place in places[:ahead]:
        file.will_need(*place)
    for index, place in enumerate(places):
        if index + ahead < len(places):
            file.will_need(*places[index + ahead])
        yield memoryview(file.read(*place))
        file.will_not_need(*place)


def _directly(
    file: ArchiveFile, aio: LinuxAio, places: Sequence[Place]
) -> Iterator[memoryview]:
    batches = _Batches(file, aio, places)
    starts = range(0, len(places), _BATCH)
    for start in starts[:2]:
        batches.ask(start)
    for start in starts:
        batches.wait_for(start)
        for index in range(start, min(start + _BATCH, len(places))):
            yield batches.take(index)
        batches.ask(start + 2 * _BATCH)


class _Batches:
    """Two batches of direct reads in turn: one is taken, the other under way.

    Place number i is read into block i, modulo their number.
    """

    def __init__(self, file: ArchiveFile, aio: LinuxAio, places: Sequence[Place]):
        self._file = file
        self._aio = aio
        self._places = places
        self._blocks = [memoryview(aio.blocks[i]) for i in range(2 * _BATCH)]
        self._lengths = [0] * len(self._blocks)
        self._under_way: set[int] = set()

    def ask(self, start: int) -> None:
        """Starts to read the batch that begins with place number `start`, if any."""
        asked = range(start, min(start + _BATCH, len(self._places)))
        offsets = np.array([self._places[index][0] for index in asked], np.int64)
        sizes = np.array([self._places[index][1] for index in asked], np.int64)
        first_bytes = offsets // ALIGNMENT * ALIGNMENT
        lengths = -(-(offsets + sizes) // ALIGNMENT) * ALIGNMENT - first_bytes
        blocks = np.array(asked, np.int64) % len(self._blocks)
        for block in blocks.tolist():
            self._lengths[block] = 0
        fits = lengths <= _DIRECT_BYTES
        started = self._aio.submit(blocks[fits], first_bytes[fits], lengths[fits])
        self._under_way.update(blocks[fits][:started].tolist())
        for index in np.flatnonzero(~fits).tolist():
            self._file.will_need(*self._places[start + index])

    def wait_for(self, start: int) -> None:
        """Waits for what is under way of the batch that begins with number `start`."""
        batch = {index % len(self._blocks) for index in range(start, start + _BATCH)}
        while batch & self._under_way:
            blocks, lengths = self._aio.wait(at_least=1)
            for block, length in zip(blocks.tolist(), lengths.tolist(), strict=True):
                self._lengths[block] = length
                self._under_way.discard(block)

    def take(self, index: int) -> memoryview:
        """Returns the bytes at place number `index`."""
        offset, size = self._places[index]
        block = index % len(self._blocks)
        start = offset % ALIGNMENT
        if self._lengths[block] >= start + size:
            return self._blocks[block][start : start + size]
        # Too long, not taken by the kernel, or failed: then this says what is wrong.
        data = memoryview(self._file.read(offset, size))
        self._file.will_not_need(offset, size)
        return data


# To set up direct reads and to end them takes a while: those of one shard are kept for
# another. None where they are no better than advice.
_kept: weakref.WeakKeyDictionary[ArchiveFile, list[LinuxAio] | None]
_kept = weakref.WeakKeyDictionary()
_lock = threading.Lock()


@contextlib.contextmanager
def _lent_direct_reads(file: ArchiveFile) -> Iterator[LinuxAio | None]:
    """Lends direct reads of a file, to one reader at a time, where there are any."""
    with _lock:
        kept = _kept.setdefault(file, [])
        aio = kept.pop() if kept else None
    if kept is not None and not aio:
        aio = file.direct_reads(2 * _BATCH, _DIRECT_BYTES)
    try:
        yield aio
    except BaseException:
        # An interrupt may come before it is noted what the kernel did.
        if aio:
            aio.close()
        raise
    with _lock:
        if not aio or aio.is_slow:
            _kept[file] = None
        elif (kept := _kept[file]) is not None:
            kept.append(aio)
