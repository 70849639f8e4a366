"""Every queue of reads keeps the contract: direct, with advice, or in threads."""

from __future__ import annotations

import pathlib
import threading

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.linux_aio import ALIGNMENT
from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.portable_file import PortableFile
from imagenet2012_subset.storage.queue import Extent
from tests.shared.queues import leave, read_all

SIZE = 300_001  # The file ends within a page, and within a block.
DATA = np.random.default_rng(0).bytes(SIZE)

FILES = pytest.mark.parametrize("file_class", [LocalFile, PortableFile])
# From 8 on a queue of a local file is direct, where the platform has direct reads.
CAPACITIES = pytest.mark.parametrize("capacity", [1, 2, 7, 8, 40])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> epath.Path:
    path: pathlib.Path = tmp_path_factory.mktemp("queue") / "archive.tar"
    path.write_bytes(DATA)
    return epath.Path(path)


offsets = st.integers(0, SIZE) | st.builds(
    lambda page, near: min(SIZE, max(0, page * ALIGNMENT + near)),
    st.integers(0, SIZE // ALIGNMENT),
    st.integers(-1, 1),
)
sizes = st.integers(0, 3 * ALIGNMENT) | st.just(512) | st.integers(0, SIZE)
extents = st.builds(lambda o, s: Extent(o, min(s, SIZE - o)), offsets, sizes)


@settings(max_examples=150)
@given(
    st.lists(extents, max_size=40),
    st.integers(1, 40),
    st.sampled_from([1, 512, ALIGNMENT, 3 * ALIGNMENT]),
    st.integers(1, 40),
    st.sampled_from([LocalFile, PortableFile]),
)
def test_every_extent_comes_once_and_is_the_one_asked_for(
    path, extents, capacity, size, at_least, file_class
):
    # Longer extents than `size` may be asked for: in one queue some reads are direct
    # and some are not.
    found = read_all(file_class(path), extents, capacity, size, at_least)
    assert found == [DATA[offset : offset + size] for offset, size in extents]


@FILES
@CAPACITIES
def test_a_slot_keeps_what_was_read_while_others_are_asked_for(
    path, file_class, capacity
):
    with file_class(path).queue(capacity, 512) as queue:
        queue.ask([0], [Extent(1000, 512)])
        ((_, data),) = queue.take()
        for slot in range(1, capacity):
            queue.ask([slot], [Extent(slot * 512, 512)])
        left = capacity - 1
        while left:
            left -= len(queue.take())
        assert data == DATA[1000:1512]


@FILES
@CAPACITIES
@pytest.mark.parametrize("offset", [SIZE - 5, SIZE, SIZE + 1, SIZE + 100_000])
def test_what_reaches_beyond_the_end_is_an_error_that_says_where(
    path, file_class, capacity, offset
):
    end = max(SIZE, offset)
    with pytest.raises(ArchiveError, match=f"ends at byte {end:,}") as caught:
        read_all(file_class(path), [Extent(offset, 512)], capacity, 512)
    assert caught.value.path == str(path)


@FILES
@CAPACITIES
def test_a_queue_that_is_left_with_reads_under_way_harms_none_that_follows(
    path, file_class, capacity
):
    file = file_class(path)
    slots = list(range(capacity))
    for shift in range(3):
        before = [Extent(slot * 100, 512) for slot in slots]
        after = [Extent(100_000 + shift + slot * 100, 512) for slot in slots]
        with pytest.raises(KeyError):
            leave(file, before, 512, KeyError)
        found = read_all(file, after, capacity, 512)
        assert found == [DATA[offset : offset + size] for offset, size in after]


@FILES
@CAPACITIES
def test_several_queues_of_one_file_do_not_mix(path, file_class, capacity):
    file = file_class(path)
    extents = [[Extent(n * 7000 + i * 512, 512) for i in range(50)] for n in range(6)]
    found: dict[int, list[bytes]] = {}

    def read(number: int) -> None:
        found[number] = read_all(file, extents[number], capacity, 512)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        assert found[number] == [DATA[o : o + s] for o, s in extents[number]]


@FILES
@pytest.mark.parametrize("capacity", [7, 8])
def test_nothing_asked_for_is_nothing_taken(path, file_class, capacity):
    with file_class(path).queue(capacity, 512) as queue:
        queue.ask([], [])
        assert queue.take(0) == []
