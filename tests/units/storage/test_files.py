"""`Files` returns what its files contain, or says which one changed."""

import concurrent.futures
import contextlib
import errno
import os
import pathlib
import tempfile
import threading
from collections.abc import Sequence
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage import files as files_module
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.open import find_files

pytestmark = pytest.mark.usefixtures("platform")

CONTENTS = [np.random.default_rng(seed).bytes(5000) for seed in range(300)]


def _files(folder: pathlib.Path, contents: Sequence[bytes]) -> Files:
    paths = [folder / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Files(find_files([str(path) for path in paths]))


@pytest.fixture
def one(tmp_path) -> Files:
    return _files(tmp_path, CONTENTS[:1])


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=40),
    at=st.lists(st.tuples(st.integers(0), st.integers(0), st.integers(0)), max_size=60),
)
def test_any_ranges_come_in_order(sizes, at):
    contents = [np.random.default_rng(size).bytes(size) for size in sizes]
    wanted, ranges = [], []
    for number, position, length in at:
        file = number % len(contents)
        start = position % len(contents[file])
        size = length % (len(contents[file]) - start + 1)
        ranges.append(Range(file, start, size))
        wanted.append(contents[file][start : start + size])
    with tempfile.TemporaryDirectory() as folder:
        files = _files(pathlib.Path(folder), contents)
        assert list(read_in_order(files, ranges)) == wanted
        assert [files.read(*extent) for extent in ranges] == wanted


def _num_open(folder: pathlib.Path) -> int:
    """Returns how many files of a folder this process has open."""
    num_open = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # Another thread may close it meanwhile.
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            num_open += target.startswith(f"{folder}/")
    return num_open


def test_a_closed_reader_opens_its_files_again(one):
    folder = pathlib.Path(one.path(0)).parent
    for _ in range(2):
        assert list(read_in_order(one, [Range(0, 9, 90)])) == [CONTENTS[0][9:99]]
        assert _num_open(folder) == 1
        one.close()
        assert _num_open(folder) == 0


def test_ranges_are_prefetched_before_they_are_read(tmp_path, monkeypatch):
    files = _files(tmp_path, CONTENTS[:40])
    calls = mock.Mock()
    for name in ("prefetch", "read"):
        getattr(calls, name).side_effect = getattr(files, name)
        monkeypatch.setattr(files, name, getattr(calls, name))
    ranges = [Range(file, 0, 5000) for file in range(40)]
    assert list(read_in_order(files, ranges)) == CONTENTS[:40]
    events = [(name, args[0]) for name, args, _ in calls.mock_calls]
    assert events[: files.ahead] == [("prefetch", i) for i in range(files.ahead)]
    for file in range(40):
        assert events.index(("prefetch", file)) < events.index(("read", file))
    assert len(events) == 2 * 40
    assert events.index(("read", 40 - files.ahead - 1)) < events.index(("prefetch", 39))


def test_a_bounded_number_of_files_stays_open(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "_MAX_OPEN_PER_READER", 20)
    files = _files(tmp_path, CONTENTS)
    for file in range(300):
        assert files.read(file, 0, 9) == CONTENTS[file][:9]
        assert _num_open(tmp_path) <= 20
    # The file that was opened first is closed first.
    with mock.patch.object(files, "_open_now", wraps=files._open_now) as opened:
        for file in (280, 299, 279, 281, 280):
            files.read(file, 0, 9)
    assert opened.mock_calls == [mock.call(279), mock.call(280)]


def test_the_bound_is_a_quarter_of_what_the_process_may_open(monkeypatch):
    for more, most in ((400, 100), (40_000, 512), (3, 4), (None, 512)):
        monkeypatch.setattr(files_module, "more_open_files", lambda more=more: more)
        assert files_module._most_open() == most


def _failing_open(monkeypatch, number: int, times: int) -> mock.Mock:
    """Makes `os.open` fail the given number of times."""
    errors = [OSError(number, os.strerror(number))] * times
    failing = mock.Mock(wraps=os.open, side_effect=[*errors, mock.DEFAULT])
    monkeypatch.setattr(os, "open", failing)
    return failing


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_descriptor_is_waited_for(tmp_path, monkeypatch, number):
    files = _files(tmp_path, CONTENTS[:2])
    files.read(0, 0, 1)
    failed = _failing_open(monkeypatch, number, times=3)
    assert files.read(1, 0, 10) == CONTENTS[1][:10]
    assert failed.call_count == 4
    assert _num_open(tmp_path) == 1  # Its own ones were closed.


def test_too_many_open_files_are_an_error_with_advice(one, monkeypatch):
    monkeypatch.setattr(files_module, "_SECONDS_TO_WAIT_FOR_A_DESCRIPTOR", 0.05)
    _failing_open(monkeypatch, errno.EMFILE, times=1000)
    with pytest.raises(ArchiveError) as caught:
        one.read(0, 0, 10)
    assert caught.value.path == one.path(0)
    assert "too many open files" in caught.value.problem
    assert "ulimit -n" in caught.value.remedy


def test_a_file_that_cannot_be_opened_is_an_error_at_once(one, monkeypatch):
    failed = _failing_open(monkeypatch, errno.EACCES, times=2)
    with pytest.raises(ArchiveError, match=r"cannot be opened \(Permission denied\)"):
        one.read(0, 0, 10)
    assert failed.call_count == 1


def _rewrite(path: pathlib.Path) -> None:
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:  # The clock may tick every 10 ms only.
        path.write_bytes(path.read_bytes())


def _rewrite_and_hide(path: pathlib.Path) -> None:
    before = path.stat()
    _rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace_by_fifo(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: os.truncate(path, 4999), "had 5,000 bytes and now has 4,999"),
        (_rewrite, "was written to or replaced while it was in use"),
        (_rewrite_and_hide, "was written to or replaced while it was in use"),
        (_replace_by_fifo, "is now a FIFO"),
        (os.unlink, "cannot be opened (No such file or directory)"),
    ],
)
def test_a_file_that_changed_since_it_was_found_is_an_error(tmp_path, change, problem):
    files = _files(tmp_path, CONTENTS[:3])
    change(tmp_path / "1")
    assert files.read(0, 0, 5000) == CONTENTS[0]
    for read in (files.read, lambda *extent: next(read_in_order(files, [extent]))):
        with pytest.raises(ArchiveError) as caught:
            read(1, 0, 5000)
        assert caught.value.path == str(tmp_path / "1")
        assert caught.value.problem == problem


@pytest.mark.parametrize("most", [1, 100, 511])
def test_short_reads_are_continued_up_to_the_end_of_the_file(one, monkeypatch, most):
    pread = os.pread
    monkeypatch.setattr(
        os, "pread", lambda fd, size, at: pread(fd, min(size, most), at)
    )
    assert one.read(0, 300, 2000) == CONTENTS[0][300:2300]
    assert one.read(0, 4300, 700) == CONTENTS[0][4300:]
    with pytest.raises(ArchiveError, match="ends at byte 5,000, but had 5,000 bytes"):
        one.read(0, 4300, 701)


def test_a_failing_disk_is_an_error_that_says_where(one, monkeypatch):
    def fail(descriptor, size, offset):
        if offset == 1536:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return bytes(size)

    monkeypatch.setattr(os, "pread", fail)
    found = read_in_order(one, [Range(0, 0, 10), Range(0, 1536, 10)])
    assert next(found) == bytes(10)  # What comes before the error is yielded.
    with pytest.raises(ArchiveError) as caught:
        next(found)
    assert caught.value.problem == "cannot be read at byte 1,536 (Input/output error)"
    assert caught.value.path == one.path(0)


def test_a_file_system_without_advice_is_reported_once(one, monkeypatch, caplog):
    if not files_module.HAS_ADVICE:
        pytest.skip("this platform has no advice anyway")
    error = OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    refused = mock.Mock(side_effect=error)
    monkeypatch.setattr(os, "posix_fadvise", refused)
    monkeypatch.setattr(files_module, "_warned", set())
    ranges = [Range(0, 0, 10), Range(0, 5, 10)]
    assert list(read_in_order(one, ranges)) == [CONTENTS[0][:10], CONTENTS[0][5:15]]
    advice = [call.args[-1] for call in refused.mock_calls]
    assert advice == [os.POSIX_FADV_RANDOM, os.POSIX_FADV_WILLNEED]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"The file system of {one.path(0)} ")


def test_threads_read_at_the_same_time(tmp_path, monkeypatch):
    # Files are opened and closed all the time, while others read from them.
    monkeypatch.setattr(files_module, "_MAX_OPEN_PER_READER", 4)
    files = _files(tmp_path, CONTENTS[:30])
    barrier = threading.Barrier(8)

    def read(seed: int) -> bool:
        barrier.wait(300)
        order = np.random.default_rng(seed).integers(0, 30, 300).tolist()
        return all(files.read(i, 0, 5000) == CONTENTS[i] for i in order)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))


def test_without_advice_several_reads_run_at_once(one, monkeypatch):
    if files_module.HAS_ADVICE:
        pytest.skip("the kernel prefetches")
    barrier = threading.Barrier(8)
    pread = os.pread

    def read(descriptor, size, offset):
        barrier.wait(300)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", read)
    ranges = [Range(0, start, 100) for start in range(0, 1600, 100)]
    assert b"".join(read_in_order(one, ranges)) == CONTENTS[0][:1600]


def test_a_table_compares_sizes_and_change_times(tmp_path):
    table = _files(tmp_path, [bytes(3), bytes(5)]).table
    paths, sizes, changed_ns = table.paths, table.sizes, table.changed_ns
    assert sizes.tolist() == [3, 5]
    assert changed_ns.tolist() == [os.stat(path).st_ctime_ns for path in paths]
    for other, same in (
        (FileTable(("a", "b"), sizes, changed_ns), True),
        (FileTable(paths, sizes + 1, changed_ns), False),
        (FileTable(paths, sizes, changed_ns + 1), False),
        (table.take(np.array([0])), False),
    ):
        assert table.same_versions(other) is same


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(ArchiveError, match=r"none\.tar: cannot be opened \(No such"):
        find_files([str(tmp_path / "none.tar")])
