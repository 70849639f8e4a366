"""A local file's queues: directly from the disk where it can be, else with advice."""

from __future__ import annotations

import errno
import os
import pathlib
import platform

import numpy as np
import pytest
from etils import epath

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.queue import Extent
from tests.shared import direct_reads
from tests.shared.queues import leave, read_all

BLOCK = 512
NUM_BLOCKS = 101  # The file ends within a page.
ALL = [Extent(start, BLOCK) for start in range(0, NUM_BLOCKS * BLOCK, BLOCK)]
DATA = np.random.default_rng(0).bytes(NUM_BLOCKS * BLOCK)  # All blocks differ.
EXPECTED = [DATA[offset : offset + size] for offset, size in ALL]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> epath.Path:
    path = epath.Path(tmp_path / "archive.tar")
    path.write_bytes(DATA)
    return path


@pytest.fixture
def direct(path: epath.Path) -> LocalFile:
    return direct_reads.open_for_direct_reads(path)


def test_direct_reads_are_used_where_they_are_to_be_had(direct, monkeypatch):
    monkeypatch.delattr(LocalFile, "read")
    assert read_all(direct, ALL, 20, BLOCK) == EXPECTED


def test_what_fails_directly_is_read_again(direct, monkeypatch):
    direct_reads.end_all(monkeypatch, -errno.EIO)
    assert read_all(direct, ALL, 20, BLOCK) == EXPECTED


def test_what_fails_later_is_not_taken_for_what_the_slot_held(direct, monkeypatch):
    direct_reads.end_all(monkeypatch, -errno.EIO, after=20)
    assert read_all(direct, ALL, 20, BLOCK) == EXPECTED


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1])
def test_what_comes_short_directly_is_read_again(direct, monkeypatch, length):
    direct_reads.end_all(monkeypatch, length)
    assert read_all(direct, ALL, 20, BLOCK) == EXPECTED


@pytest.mark.parametrize("taken", [0, 3])
def test_what_the_kernel_does_not_take_is_read_with_advice(direct, monkeypatch, taken):
    asked = direct_reads.submit_at_most(monkeypatch, taken)
    assert read_all(direct, ALL, 20, BLOCK, at_least=20) == EXPECTED
    assert asked[0] == 20


def test_where_asking_takes_as_long_as_reading_advice_takes_over(direct, monkeypatch):
    monkeypatch.setattr(LinuxAio, "is_slow", property(lambda self: len(asked) >= 3))
    asked = direct_reads.submit_at_most(monkeypatch, None)
    assert read_all(direct, ALL, 20, BLOCK, at_least=20) == EXPECTED
    assert asked == [20, 20, 20]
    # Nor is it tried again, be it with more at a time.
    set_ups = direct_reads.note_set_ups(monkeypatch)
    assert read_all(direct, ALL, 20, BLOCK, at_least=20) == EXPECTED
    assert read_all(direct, ALL, 30, BLOCK, at_least=30) == EXPECTED
    assert asked == [20, 20, 20]
    assert not set_ups


def test_other_processors_read_with_advice(path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(OSError, match="s390x"):
        LinuxAio(os.fspath(path), 1, ALIGNMENT)
    assert read_all(LocalFile(path), ALL, 20, BLOCK) == EXPECTED


def test_direct_reads_are_of_the_file_that_was_opened(direct):
    direct.path.unlink()
    direct.path.write_bytes(bytes(NUM_BLOCKS * BLOCK))
    assert read_all(direct, ALL, 20, BLOCK) == EXPECTED


def test_direct_reads_are_set_up_once_for_queues_in_turn(direct, monkeypatch):
    set_up = direct_reads.note_set_ups(monkeypatch)
    for _ in range(5):
        assert read_all(direct, ALL, 20, BLOCK) == EXPECTED
    assert set_up == [str(direct.path)]


def test_what_a_queue_held_is_given_back_with_its_file(path):
    before = direct_reads.num_open_files()
    file = LocalFile(path)
    read_all(file, ALL, 20, BLOCK)
    read_all(file, ALL, 9, BLOCK)
    del file
    assert direct_reads.num_open_files() == before


def test_a_queue_that_is_left_leaves_nothing_open(direct):
    before = direct_reads.num_open_files()
    with pytest.raises(KeyError):
        leave(direct, ALL[:20], BLOCK, KeyError)
    assert direct_reads.num_open_files() == before


def test_after_an_interrupt_nothing_of_before_is_taken_for_new(direct, monkeypatch):
    """What an interrupted queue had under way arrives in no later queue's slots."""
    wait = LinuxAio.wait

    def wait_and_be_interrupted(self, at_least):
        wait(self, at_least)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LinuxAio, "wait", wait_and_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            read_all(direct, ALL[:20], 20, BLOCK)
    # Others than before, in other slots: a mix-up would give wrong bytes, or hang.
    found = read_all(direct, ALL[:30:-1], 20, BLOCK)
    assert found == EXPECTED[:30:-1]


def test_an_interrupt_between_two_reads_harms_no_later_queue(direct):
    with pytest.raises(KeyboardInterrupt):
        leave(direct, ALL[:20], BLOCK, KeyboardInterrupt)
    assert read_all(direct, ALL[:30:-1], 20, BLOCK) == EXPECTED[:30:-1]


def _at_most(most: int):
    """Returns `os.pread` as a disk in trouble has it: of each read the first bytes."""
    pread = os.pread
    return lambda descriptor, size, offset: pread(descriptor, min(size, most), offset)


@pytest.mark.parametrize("most", [1, 100, 511])
def test_a_read_that_comes_in_parts_is_put_together(path, monkeypatch, most):
    monkeypatch.setattr(os, "pread", _at_most(most))
    file = LocalFile(path)
    assert file.read(300, 2000) == DATA[300:2300]
    assert read_all(file, ALL[:12], 4, BLOCK) == EXPECTED[:12]


@pytest.mark.parametrize("most", [1, 100, 511])
def test_a_file_that_ends_within_a_read_in_parts_is_an_error(path, monkeypatch, most):
    monkeypatch.setattr(os, "pread", _at_most(most))
    file = LocalFile(path)
    with pytest.raises(ArchiveError, match=f"ends at byte {len(DATA):,}"):
        file.read(len(DATA) - 700, 701)


def test_a_disk_that_fails_is_an_error_that_says_where(path, monkeypatch):
    def fail(descriptor, size, offset):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fail)
    file = LocalFile(path)
    with pytest.raises(ArchiveError, match=r"at byte 1,536 \(Input/output error\)"):
        file.read(1536, 10)
    with pytest.raises(ArchiveError, match="Input/output error"):
        read_all(file, ALL, 4, BLOCK)


def test_a_disk_that_fails_directly_and_otherwise_is_an_error(direct, monkeypatch):
    direct_reads.end_all(monkeypatch, -errno.EIO)

    def fail(descriptor, size, offset):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(ArchiveError, match="Input/output error"):
        read_all(direct, ALL, 20, BLOCK)


def test_blocks_are_within_one_aligned_read(direct, monkeypatch):
    reads = direct_reads.note_reads(monkeypatch)
    read_all(direct, ALL, 20, BLOCK)
    assert [length for _, length in reads] == [ALIGNMENT] * NUM_BLOCKS


def test_few_reads_are_not_worth_a_set_up(direct, monkeypatch):
    reads = direct_reads.note_reads(monkeypatch)
    assert read_all(direct, ALL, 7, BLOCK) == EXPECTED
    assert not reads
