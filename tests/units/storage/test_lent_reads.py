"""Direct reads are lent to who reads many files, where the files open quickly."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest
from etils import epath

from imagenet2012_subset.storage.many_files import DirectReads, ManyFiles
from tests.shared.direct_reads import open_for_direct_reads


@pytest.fixture
def path(tmp_path) -> pathlib.Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(10_000))
    open_for_direct_reads(epath.Path(path))
    return path


def _slow(direct_reads: DirectReads) -> None:
    direct_reads.note_opened(64, 64 * 0.001)


def test_files_are_taken_to_open_quickly_until_many_were_slow():
    direct_reads = DirectReads()
    assert direct_reads.are_quick
    direct_reads.note_opened(63, 63 * 0.001)
    assert direct_reads.are_quick
    direct_reads.note_opened(1, 0.001)
    assert not direct_reads.are_quick
    # A slow one now and then says nothing of the others.
    direct_reads.note_opened(10, 10 * 1e-5)
    direct_reads.note_opened(1000, 1000 * 0.001)
    assert direct_reads.are_quick


def test_what_was_set_up_is_lent_again(path):
    direct_reads = DirectReads()
    opened = []

    def descriptor() -> int:
        opened.append(os.open(path, os.O_RDONLY))
        return opened[-1]

    def lend(capacity: int = 8, size: int = 5000):
        return direct_reads.lend(descriptor, capacity, size)

    before = len(os.listdir("/proc/self/fd"))
    with lend() as first, lend() as second:
        assert first is not None
        assert second is not None
        assert first is not second
        assert first.slot_bytes == 8192
    with lend() as third:
        assert third in (first, second)
        # What opened the kernel's side is not needed any longer.
        assert len(os.listdir("/proc/self/fd")) <= before + 2
    with lend(capacity=9) as more, lend(size=9000) as longer:
        assert len({id(one) for one in (first, second, more, longer)}) == 4
        assert longer.slot_bytes == 12_288
    assert len(opened) == 4


def test_nothing_is_lent_for_a_few_reads_or_where_files_open_slowly(path):
    direct_reads = DirectReads()
    with direct_reads.lend(lambda: os.open(path, os.O_RDONLY), 7, 4096) as aio:
        assert aio is None
    _slow(direct_reads)
    with direct_reads.lend(lambda: os.open(path, os.O_RDONLY), 8, 4096) as aio:
        assert aio is None


def test_nothing_is_lent_where_the_file_does_not_open(path):
    def fail() -> int:
        raise FileNotFoundError

    direct_reads = DirectReads()
    with direct_reads.lend(fail, 8, 4096) as aio:
        assert aio is None
    with direct_reads.lend(lambda: os.open(path, os.O_RDONLY), 8, 4096) as aio:
        assert aio is not None


def _interrupted(direct_reads: DirectReads, path: pathlib.Path, lent: list) -> None:
    with direct_reads.lend(lambda: os.open(path, os.O_RDONLY), 8, 4096) as aio:
        lent.append(aio)
        raise KeyboardInterrupt


def test_what_was_interrupted_is_not_lent_again(path):
    direct_reads = DirectReads()
    lent = []
    with pytest.raises(KeyboardInterrupt):
        _interrupted(direct_reads, path, lent)
    with direct_reads.lend(lambda: os.open(path, os.O_RDONLY), 8, 4096) as aio:
        assert aio is not None
        assert aio is not lent[0]


def test_many_files_are_as_long_as_their_spaces_and_as_new_as_the_newest(tmp_path):
    sizes, changed = np.array([0, 4095, 4096]), np.array([7, 9, 8])
    files = ManyFiles(
        epath.Path(tmp_path), ["a", "b", "c"], sizes, changed, DirectReads()
    )
    assert files.starts.tolist() == [0, 4096, 8192]
    assert files.size == 16_384
    assert files.mtime_ns == 9
    empty = np.array([], np.int64)
    none = ManyFiles(epath.Path(tmp_path), [], empty, empty, DirectReads())
    assert (none.size, none.mtime_ns) == (0, 0)
