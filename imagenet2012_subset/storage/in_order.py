"""Extents of a file read one after the other, while the disk fetches the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.queue import Extent

# Nearly all images are shorter, and are read in one piece at a place kept for them.
_USUAL_BYTES = 512 << 10


def read_in_order(file: File, extents: Sequence[Extent]) -> Iterator[memoryview]:
    """Yields the bytes of each extent in turn, with the next ones under way.

    Args:
      file: what to read.
      extents: what is yielded of each stays until the next.

    Raises:
      ArchiveError: if the file cannot be read or ends before an extent does.
    """
    ahead = file.large_in_flight
    with file.queue(min(ahead, len(extents)), _USUAL_BYTES) as queue:
        arrived: dict[int, memoryview] = {}
        asked = 0
        for number in range(len(extents)):
            if asked - number <= ahead // 2:
                batch = extents[asked : number + ahead]
                slots = [(asked + i) % ahead for i in range(len(batch))]
                queue.ask(slots, batch)
                asked += len(batch)
            slot = number % ahead
            while slot not in arrived:
                arrived.update(queue.take())
            yield arrived.pop(slot)
