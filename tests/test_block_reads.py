"""Blocks read many at a time: directly from the disk, by advice, or portably."""

from __future__ import annotations

import os
import pathlib
import platform
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset import block_reads, linux_aio
from imagenet2012_subset.archive_file import ArchiveFile, LocalFile, PortableFile
from imagenet2012_subset.block_reads import BlockReads
from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.tar_headers import BLOCK
from imagenet2012_subset.tar_part import Tar
from imagenet2012_subset.tar_walk import walk
from tests import archives, direct_reads

NUM_BLOCKS = 101  # The file ends within a page.


@pytest.fixture
def path(tmp_path: pathlib.Path) -> epath.Path:
    """A file whose blocks all differ."""
    return _write(tmp_path)


def _write(folder: pathlib.Path) -> epath.Path:
    path = epath.Path(folder / "archive.tar")
    path.write_bytes(np.random.default_rng(0).bytes(NUM_BLOCKS * BLOCK))
    return path


@pytest.fixture
def direct(path: epath.Path, monkeypatch: pytest.MonkeyPatch) -> LocalFile:
    """That file, of which even a single block is read directly."""
    monkeypatch.setattr(block_reads, "_WORTH_A_SET_UP", 1)
    return direct_reads.open_for_direct_reads(path)


def _read_all(
    file: ArchiveFile, offsets: Sequence[int], capacity: int
) -> dict[int, bytes]:
    """Returns the block at each offset, asked for as soon as there is room."""
    reads: BlockReads[int] = BlockReads(file, capacity)
    waiting = list(offsets)
    found: dict[int, bytes] = {}
    try:
        while waiting or reads.under_way:
            asked = waiting[: capacity - reads.under_way]
            waiting = waiting[len(asked) :]
            reads.ask(asked, asked)
            items, blocks = reads.take()
            assert items
            for item, block in zip(items, blocks, strict=True):
                assert item not in found
                found[item] = block.tobytes()
    finally:
        reads.close()
    return found


def _expected(path: epath.Path, offsets: Sequence[int]) -> dict[int, bytes]:
    data = path.read_bytes()
    return {offset: data[offset : offset + BLOCK] for offset in offsets}


ALL_OFFSETS = range(0, NUM_BLOCKS * BLOCK, BLOCK)


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(ALL_OFFSETS), unique=True),
    st.integers(1, 40),
    st.sampled_from([LocalFile, PortableFile]),
    st.sampled_from([1, 5, 1000]),
)
def test_every_block_comes_once_and_is_the_one_asked_for(
    offsets, capacity, file_class, worth
):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_reads, "_WORTH_A_SET_UP", worth)
        path = _write(pathlib.Path(folder))
        found = _read_all(file_class(path), offsets, capacity)
        assert found == _expected(path, offsets)


def test_direct_reads_are_used_where_they_are_to_be_had(direct, monkeypatch):
    monkeypatch.delattr(LocalFile, "read_each")
    assert _read_all(direct, ALL_OFFSETS, 20) == _expected(direct.path, ALL_OFFSETS)


@pytest.mark.parametrize("worth", [1, 1000])
def test_a_block_beyond_the_end_is_an_error_that_says_where(path, monkeypatch, worth):
    monkeypatch.setattr(block_reads, "_WORTH_A_SET_UP", worth)
    end = NUM_BLOCKS * BLOCK
    with pytest.raises(ArchiveError, match=f"ends at byte {end:,}"):
        _read_all(LocalFile(path), [0, end], 4)


def test_what_fails_directly_is_read_again(direct, monkeypatch):
    direct_reads.fail_all(monkeypatch)
    assert _read_all(direct, ALL_OFFSETS, 20) == _expected(direct.path, ALL_OFFSETS)


@pytest.mark.parametrize("taken", [0, 3])
def test_what_the_kernel_does_not_take_is_read_with_advice(direct, monkeypatch, taken):
    calls = direct_reads.submit_at_most(monkeypatch, taken)
    assert _read_all(direct, ALL_OFFSETS, 20) == _expected(direct.path, ALL_OFFSETS)
    assert calls == [20]


def test_where_asking_takes_as_long_as_reading_advice_takes_over(direct, monkeypatch):
    monkeypatch.setattr(linux_aio, "_JUDGED_AFTER", 40)
    monkeypatch.setattr(linux_aio, "_SLOW_SECONDS_A_READ", 0)
    asked = direct_reads.submit_at_most(monkeypatch, None)
    assert _read_all(direct, ALL_OFFSETS, 20) == _expected(direct.path, ALL_OFFSETS)
    assert 40 <= sum(asked) < 60


def test_other_processors_read_with_advice(path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    monkeypatch.setattr(block_reads, "_WORTH_A_SET_UP", 1)
    with pytest.raises(OSError, match="s390x"):
        LinuxAio(os.fspath(path), 1, ALIGNMENT)
    found = _read_all(LocalFile(path), ALL_OFFSETS, 20)
    assert found == _expected(path, ALL_OFFSETS)


def test_more_reads_than_the_kernel_has_are_refused_and_nothing_stays_open(path):
    before = _open_files()
    with pytest.raises(OSError, match="Invalid argument"):
        LinuxAio(os.fspath(path), 1 << 30, ALIGNMENT)
    assert _open_files() == before


def test_direct_reads_are_of_the_file_that_was_opened(direct):
    expected = _expected(direct.path, ALL_OFFSETS)
    direct.path.unlink()
    direct.path.write_bytes(bytes(NUM_BLOCKS * BLOCK))
    assert _read_all(direct, ALL_OFFSETS, 20) == expected


def test_a_walk_that_is_left_leaves_nothing_open(tmp_path, monkeypatch):
    monkeypatch.setattr(block_reads, "_WORTH_A_SET_UP", 1)
    inner = archives.tar_bytes([(f"n01440764_{i}.JPEG", b"x") for i in range(9)])
    path = epath.Path(tmp_path / "archive.tar")
    path.write_bytes(inner * 9)
    file = LocalFile(path)
    before = _open_files()
    tars = [Tar(str(i), i * len(inner), (i + 1) * len(inner)) for i in range(9)]
    walked: Iterator[object] = walk(file, tars, in_flight=4)
    next(walked)
    walked.close()
    assert _open_files() == before


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_blocks_are_within_one_aligned_read():
    assert ALIGNMENT % BLOCK == 0
