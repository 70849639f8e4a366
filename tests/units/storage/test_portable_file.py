"""Files read by threads, as of buckets and of platforms without positioned reads."""

from __future__ import annotations

import os
import pathlib
import threading

import pytest
from etils import epath

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.open import open_file
from imagenet2012_subset.storage.portable_file import PortableFile
from imagenet2012_subset.storage.queue import Extent
from tests.shared.queues import read_all

DATA = bytes(range(256)) * 400
EXTENTS = [Extent(start, 700) for start in range(0, 90_000, 900)]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> epath.Path:
    path = epath.Path(tmp_path / "archive.tar")
    path.write_bytes(DATA)
    return path


def _read_with(monkeypatch: pytest.MonkeyPatch, path: epath.Path, read) -> PortableFile:
    """Opens a file whose handles read by `read`, given the handle and a size."""

    class Handle:
        def __init__(self, handle):
            self._handle = handle
            self.seek = handle.seek

        def read(self, size):
            return read(self._handle, size)

    file = PortableFile(path)
    open_path = type(path).open
    monkeypatch.setattr(
        type(path), "open", lambda self, mode: Handle(open_path(self, mode))
    )
    return file


def test_it_says_how_long_and_of_when_the_file_is(path):
    os.utime(path, (1_700_000_000, 1_700_000_000))
    file = PortableFile(path)
    assert (file.size, file.mtime_ns) == (len(DATA), 1_700_000_000 * 10**9)


@pytest.mark.parametrize("short_by", [1, 300, 700])
def test_a_read_that_stays_short_is_an_error_that_says_where(
    path, monkeypatch, short_by
):
    def read(handle, size):
        return handle.read(size - short_by)

    file = _read_with(monkeypatch, path, read)
    with pytest.raises(ArchiveError, match=f"ends at byte {9000 + 700 - short_by:,}"):
        file.read(9000, 700)
    with pytest.raises(ArchiveError, match="ends at byte"):
        list(read_in_order(file, EXTENTS))


@pytest.mark.parametrize("capacity", [1, 16, 40])
def test_a_storage_that_fails_is_an_error_that_says_so(path, monkeypatch, capacity):
    def fail(handle, size):
        raise OSError("the bucket is gone")

    file = _read_with(monkeypatch, path, fail)
    with pytest.raises(ArchiveError, match=r"at byte .* \(the bucket is gone\)"):
        read_all(file, EXTENTS, capacity, 700)


@pytest.mark.parametrize("capacity", [1, 16, 40])
def test_an_error_of_another_kind_comes_out_as_it_is(path, monkeypatch, capacity):
    # Nobody must wait for ever for what a thread has failed to read.
    def fail(handle, size):
        raise RuntimeError("a library's bug")

    file = _read_with(monkeypatch, path, fail)
    with pytest.raises(RuntimeError, match="a library's bug"):
        read_all(file, EXTENTS, capacity, 700)


def test_several_reads_are_under_way_at_once(path, monkeypatch):
    begun = threading.Semaphore(0)
    eight_have_begun = threading.Event()

    def read(handle, size):
        begun.release()
        assert eight_have_begun.wait(300)
        return handle.read(size)

    def count_to_eight():
        for _ in range(8):
            begun.acquire()
        eight_have_begun.set()

    threading.Thread(target=count_to_eight, daemon=True).start()
    file = _read_with(monkeypatch, path, read)
    extents = EXTENTS[:16]
    found = [bytes(data) for data in read_in_order(file, extents)]
    assert found == [DATA[offset : offset + size] for offset, size in extents]


def test_it_is_what_opens_where_the_platform_has_no_positioned_reads(path, monkeypatch):
    monkeypatch.delattr(os, "preadv")
    file = open_file(path)
    assert isinstance(file, PortableFile)
    assert file.read(300, 10) == DATA[300:310]


@pytest.mark.parametrize("portable", [False, True])
def test_what_cannot_be_opened_is_an_error_that_says_why(
    tmp_path, monkeypatch, portable
):
    if portable:
        monkeypatch.delattr(os, "preadv")
    path = epath.Path(tmp_path / "none.tar")
    with pytest.raises(ArchiveError, match=r"none\.tar: cannot be opened \(No such"):
        open_file(path)
