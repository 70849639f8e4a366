"""Uses a queue of reads as the walk does: each slot again once it was taken."""

from __future__ import annotations

from collections.abc import Sequence

from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.queue import Extent


def leave(
    file: File, extents: Sequence[Extent], size: int, error: type[BaseException]
) -> None:
    """Asks for extents, and leaves the queue by an error with all of them under way."""
    with file.queue(len(extents), size) as queue:
        queue.ask(range(len(extents)), extents)
        raise error


def read_all(
    file: File, extents: Sequence[Extent], capacity: int, size: int, at_least: int = 1
) -> list[bytes]:
    """Returns the bytes of each extent, in the order of the extents."""
    found: dict[int, bytes] = {}
    free = list(range(capacity))
    under_way: dict[int, int] = {}
    waiting = list(range(len(extents)))
    with file.queue(capacity, size) as queue:
        while waiting or under_way:
            asked = waiting[: len(free)]
            waiting = waiting[len(asked) :]
            slots = [free.pop() for _ in asked]
            under_way |= dict(zip(slots, asked, strict=True))
            queue.ask(slots, [extents[number] for number in asked])
            taken = queue.take(min(at_least, len(under_way)))
            assert len(taken) >= min(at_least, len(under_way))
            for slot, data in taken:
                number = under_way.pop(slot)
                assert number not in found
                found[number] = bytes(data)
                free.append(slot)
    return [found[number] for number in range(len(extents))]
