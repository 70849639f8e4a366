"""Objects read by ranges, at a store in memory."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import fsspec
import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset import ArchiveError, ManualDirError
from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.queue import Extent
from imagenet2012_subset.storage.remote.file import RemoteFile
from imagenet2012_subset.storage.remote.stretches import stretch_of
from imagenet2012_subset.tar.flat import walk_beginning, walk_flat
from imagenet2012_subset.tar.members import Tar
from tests.shared import archives

SIZE = 200_001
DATA = np.random.default_rng(0).bytes(SIZE)


class Url(os.PathLike):
    """A path at a store that `epath` has no name for."""

    def __init__(self, data: bytes):
        self._url = f"memory://{uuid.uuid4().hex}"
        fsspec.filesystem("memory").pipe_file(self._url, data)

    def __fspath__(self) -> str:
        return self._url

    def put(self, data: bytes) -> None:
        fsspec.filesystem("memory").pipe_file(self._url, data)

    def remove(self) -> None:
        fsspec.filesystem("memory").rm(self._url)


@pytest.fixture(scope="module")
def file() -> RemoteFile:
    return RemoteFile(Url(DATA))


extents = st.builds(
    lambda offset, size: Extent(offset, min(size, SIZE - offset)),
    st.integers(0, SIZE),
    st.integers(0, 3000),
)


@settings(max_examples=30)
@given(st.lists(extents, max_size=100))
def test_each_extent_comes_in_its_turn(file, wanted):
    found = [bytes(data) for data in read_in_order(file, wanted)]
    assert found == [DATA[offset : offset + size] for offset, size in wanted]


@settings(max_examples=30)
@given(
    st.integers(1, 40),
    st.integers(500, 5000),
    st.sampled_from([0, 4096, stretch_of(40)]),
)
def test_steps_are_the_same_whether_read_alone_or_along(file, readers, step, stretch):
    """Many readers go on step by step, each in its part of the file."""
    length = SIZE // readers
    with file.queue(readers, 512) as queue:
        queue._read_on.size = stretch
        at = {slot: slot * length for slot in range(readers)}
        going_on = list(at)
        while at:
            queue.ask(
                going_on,
                [Extent(at[slot], min(100, SIZE - at[slot])) for slot in going_on],
                [(slot + 1) * length for slot in going_on],
            )
            going_on = []
            for slot, data in queue.take(len(at)):
                assert data == DATA[at[slot] : at[slot] + 100]
                at[slot] += step
                if at[slot] >= (slot + 1) * length:
                    del at[slot]
                else:
                    going_on.append(slot)


def test_a_walk_never_reads_more_than_there_is():
    images = [(archives.validation_name(n), bytes(n % 900)) for n in range(1, 3000)]
    data = archives.tar_bytes(images)
    file = RemoteFile(Url(data))
    members = walk_flat(
        file, walk_beginning(file, Tar("it", 0, len(data)), 9999), in_flight=4
    )
    assert len(members.names) == len(images)
    assert file.bytes_read <= len(data)


def test_what_lies_beyond_the_end_is_an_error_that_says_where(file):
    assert file.read(SIZE - 5, 5) == DATA[-5:]
    with pytest.raises(ArchiveError, match=f"ends at byte {SIZE:,}"):
        file.read(SIZE - 5, 6)
    blocks = read_in_order(file, [Extent(0, 10), Extent(SIZE - 5, 6)])
    with pytest.raises(ArchiveError, match=f"ends at byte {SIZE:,}"):
        list(blocks)


@pytest.mark.parametrize("other", [DATA + b"x", None])
def test_an_object_that_is_another_at_the_end_is_an_error(other):
    url = Url(DATA)

    def read() -> Iterator[bytes]:
        for number, data in enumerate(read_in_order(RemoteFile(url), [Extent(0, 9)])):
            if number == 0:
                url.put(other) if other else url.remove()
            yield bytes(data)

    with pytest.raises(ArchiveError, match="no longer the object"):
        list(read())


def test_without_the_stores_client_the_error_says_what_to_install(monkeypatch):
    def not_installed(url: str, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", not_installed)
    with pytest.raises(ManualDirError, match=r"imagenet2012-subset\[s3\]"):
        RemoteFile(epath.Path("s3://bucket/x"))
