"""What a remote queue gives is what plain reads give, however far it reads on."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest
from hypothesis import given, strategies as st

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.storage.queue import Extent
from imagenet2012_subset.storage.remote.queue import RemoteQueue

DATA = random.Random(1).randbytes(1 << 16)


class _ReadOn:
    """Reads on as far as it is told to, and does not learn."""

    def __init__(self, sizes: list[int]):
        self._sizes = sizes
        self._count = 0

    @property
    def size(self) -> int:
        self._count += 1
        return self._sizes[self._count % len(self._sizes)]

    def note_step(self, num_bytes: int) -> None:
        pass

    def note(self, num_reads: int, num_steps: int, under_way: int, now: float) -> None:
        pass


class _Stored:
    """An object whose requests end in an order of their own."""

    size = len(DATA)

    def __init__(self, loop: asyncio.AbstractEventLoop, waits: list[int]):
        self.loop = loop
        self.bytes_read = 0
        self.fetched: list[Extent] = []
        self.fails_from = len(DATA)
        self._waits = waits

    async def fetch(self, offset: int, size: int) -> bytes:
        self.fetched.append(Extent(offset, size))
        for _ in range(self._waits[len(self.fetched) % len(self._waits)]):
            await asyncio.sleep(0)
        if offset + size > self.fails_from:
            raise ArchiveError("object", "cannot be read", "Try again")
        assert offset + size <= len(DATA)
        return DATA[offset : offset + size]


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


# Each walker goes on in a slot of its own: how far each step is, and how much it reads.
_walks = st.lists(
    st.lists(st.tuples(st.integers(-900, 5000), st.integers(0, 1500)), max_size=12),
    min_size=1,
    max_size=6,
)
_sizes = st.lists(st.sampled_from([0, 1, 512, 4096, 1 << 20]), min_size=1, max_size=5)
_waits = st.lists(st.integers(0, 6), min_size=1, max_size=5)


def _steps(walks) -> list[list[Extent]]:
    """Returns the extents of each walker, all within its part of the data."""
    part = len(DATA) // len(walks)
    steps = []
    for number, walk in enumerate(walks):
        offset, end = number * part, (number + 1) * part
        extents = []
        for ahead, size in walk:
            offset = max(number * part, offset + ahead)
            if offset + size <= end:
                extents.append(Extent(offset, size))
        steps.append(extents)
    return steps


def _walk(stored, read_on, steps: list[list[Extent]], at_least: int):
    """Walks as the walk over headers does; yields each extent and what was read."""
    part = len(DATA) // len(steps)
    queue = RemoteQueue(stored, read_on)
    at = dict.fromkeys(range(len(steps)), 0)
    idle = [slot for slot, extents in enumerate(steps) if extents]
    under_way = 0
    try:
        while idle or under_way:
            extents = [steps[slot][at[slot]] for slot in idle]
            queue.ask(idle, extents, [(slot + 1) * part for slot in idle])
            under_way += len(idle)
            idle = []
            for slot, data in queue.take(min(at_least, under_way)):
                under_way -= 1
                yield steps[slot][at[slot]], bytes(data)
                at[slot] += 1
                if at[slot] < len(steps[slot]):
                    idle.append(slot)
    finally:
        queue.close()


@given(_walks, _sizes, _waits, st.integers(1, 6))
def test_every_step_gets_its_bytes(loop, walks, sizes, waits, at_least):
    steps = _steps(walks)
    stored = _Stored(loop, waits)
    walked = list(_walk(stored, _ReadOn(sizes), steps, at_least))
    asked = [extent for extents in steps for extent in extents]
    assert sorted(extent for extent, _ in walked) == sorted(asked)
    for extent, data in walked:
        assert data == DATA[extent.offset : extent.offset + extent.size]


@given(_walks, _waits)
def test_steps_alone_bring_what_was_asked_for(loop, walks, waits):
    steps = _steps(walks)
    stored = _Stored(loop, waits)
    list(_walk(stored, _ReadOn([0]), steps, 1))
    assert stored.bytes_read == sum(extent.size for extent in stored.fetched)
    assert stored.bytes_read <= sum(one.size for walk in steps for one in walk)


@given(_walks, _sizes, _waits)
def test_stretches_bring_hardly_more_than_there_is(loop, walks, sizes, waits):
    steps = _steps(walks)
    stored = _Stored(loop, waits)
    list(_walk(stored, _ReadOn(sizes), steps, 1))
    alone = sum(extent.size for extents in steps for extent in extents)
    assert stored.bytes_read <= stored.size + alone


@given(_walks, _sizes, _waits, st.integers(0, len(DATA)))
def test_what_cannot_be_read_is_an_error_and_never_other_bytes(
    loop, walks, sizes, waits, fails_from
):
    steps = _steps(walks)
    stored = _Stored(loop, waits)
    stored.fails_from = fails_from
    walked = 0
    try:
        for extent, data in _walk(stored, _ReadOn(sizes), steps, 1):
            assert data == DATA[extent.offset : extent.offset + extent.size]
            walked += 1
    except ArchiveError:
        failed = [one for one in stored.fetched if sum(one) > fails_from]
        assert failed
    else:
        assert walked == sum(map(len, steps))
