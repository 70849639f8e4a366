"""`Files` returns what its files contain, or says which one changed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import os
import pathlib
import resource
import tempfile
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage import files as files_module
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.open import find_files
from tests.shared.limits import limited

pytestmark = pytest.mark.usefixtures("platform")

CONTENTS = [np.random.default_rng(seed).bytes(5000) for seed in range(300)]


def _files(folder: pathlib.Path, contents: Sequence[bytes]) -> Files:
    paths = [folder / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Files(find_files([str(path) for path in paths]))


def _wholes(contents: Sequence[bytes]) -> list[Range]:
    return [Range(i, 0, len(content)) for i, content in enumerate(contents)]


@pytest.fixture
def one(tmp_path) -> Files:
    return _files(tmp_path, CONTENTS[:1])


@settings(deadline=None, max_examples=40)
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
    events: list[tuple[str, int]] = []
    for name in ("prefetch", "read"):
        call = getattr(files, name)

        def note(file, offset, size, name=name, call=call):
            events.append((name, file))
            return call(file, offset, size)

        monkeypatch.setattr(files, name, note)
    assert list(read_in_order(files, _wholes(CONTENTS[:40]))) == CONTENTS[:40]
    assert events[: files.ahead] == [("prefetch", i) for i in range(files.ahead)]
    for file in range(40):
        assert events.index(("prefetch", file)) < events.index(("read", file))
    assert len(events) == 2 * 40
    assert events.index(("read", 40 - files.ahead - 1)) < events.index(("prefetch", 39))


def test_a_bounded_number_of_files_stays_open(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "_MAX_OPEN", 20)
    files = _files(tmp_path, CONTENTS)
    for file in range(300):
        assert files.read(file, 0, 9) == CONTENTS[file][:9]
        assert _num_open(tmp_path) <= 20
    # The file that was opened first is closed first.
    opened = []
    open_now = files._open_now
    monkeypatch.setattr(
        files, "_open_now", lambda file: opened.append(file) or open_now(file)
    )
    for file in (280, 299, 279, 281, 280):
        files.read(file, 0, 9)
    assert opened == [279, 280]


def test_the_bound_is_a_quarter_of_what_the_process_may_open(monkeypatch):
    for more, most in ((400, 100), (40_000, 512), (3, 4), (None, 512)):
        monkeypatch.setattr(files_module, "more_open_files", lambda more=more: more)
        assert files_module._most_open() == most


def test_few_descriptors_are_enough_for_many_files(tmp_path):
    files = _files(tmp_path, CONTENTS)
    in_use = max(map(int, os.listdir("/proc/self/fd")))
    with limited(resource.RLIMIT_NOFILE, in_use + 20):
        assert list(read_in_order(files, _wholes(CONTENTS))) == CONTENTS


def _failing_open(monkeypatch, number: int, times: float) -> list[None]:
    """Makes `os.open` fail the given number of times."""
    failed: list[None] = []
    real_open = os.open

    def fail(path, flags, *args, **kwargs):
        if len(failed) < times:
            failed.append(None)
            raise OSError(number, os.strerror(number), path)
        return real_open(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", fail)
    return failed


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_descriptor_that_becomes_available_is_waited_for(
    tmp_path, monkeypatch, number
):
    files = _files(tmp_path, CONTENTS[:2])
    files.read(0, 0, 1)
    failed = _failing_open(monkeypatch, number, times=3)
    assert files.read(1, 0, 10) == CONTENTS[1][:10]
    assert len(failed) == 3
    assert _num_open(tmp_path) == 1  # Its own ones were closed.


def test_too_many_open_files_are_an_error_with_advice(one, monkeypatch):
    monkeypatch.setattr(files_module, "_SECONDS_TO_WAIT_FOR_A_DESCRIPTOR", 0.05)
    _failing_open(monkeypatch, errno.EMFILE, times=float("inf"))
    with pytest.raises(ArchiveError) as caught:
        one.read(0, 0, 10)
    assert caught.value.path == one.path(0)
    assert "too many open files" in caught.value.problem
    assert "ulimit -n" in caught.value.remedy


def test_a_file_that_cannot_be_opened_is_an_error_at_once(one, monkeypatch):
    failed = _failing_open(monkeypatch, errno.EACCES, times=float("inf"))
    with pytest.raises(ArchiveError, match=r"cannot be opened \(Permission denied\)"):
        one.read(0, 0, 10)
    assert len(failed) == 1


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


def _replace_by_directory(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: os.truncate(path, 4999), "had 5,000 bytes and now has 4,999"),
        (_rewrite, "was written to or replaced while it was in use"),
        (_rewrite_and_hide, "was written to or replaced while it was in use"),
        (_replace_by_fifo, "is now a FIFO"),
        (_replace_by_directory, "is now a directory"),
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


def _at_most(most: int):
    """Returns an `os.pread` that returns only the first bytes of each range."""
    pread = os.pread
    return lambda descriptor, size, offset: pread(descriptor, min(size, most), offset)


@pytest.mark.parametrize("most", [1, 100, 511])
def test_short_reads_are_continued_up_to_the_end_of_the_file(one, monkeypatch, most):
    monkeypatch.setattr(os, "pread", _at_most(most))
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
    calls = []

    def refuse(descriptor, offset, size, advice):
        calls.append(advice)
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    monkeypatch.setattr(files_module, "_warned", set())
    ranges = [Range(0, 0, 10), Range(0, 5, 10)]
    assert list(read_in_order(one, ranges)) == [CONTENTS[0][:10], CONTENTS[0][5:15]]
    assert calls == [os.POSIX_FADV_RANDOM, os.POSIX_FADV_WILLNEED]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"The file system of {one.path(0)} ")


def test_threads_read_at_the_same_time(tmp_path, monkeypatch):
    # Files are opened and closed all the time, while others read from them.
    monkeypatch.setattr(files_module, "_MAX_OPEN", 4)
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
    expected = [CONTENTS[0][start : start + 100] for start in range(0, 1600, 100)]
    assert list(read_in_order(one, ranges)) == expected


def test_a_table_takes_some_of_its_files_and_compares_versions(tmp_path):
    table = _files(tmp_path, [bytes(3), bytes(5), bytes(8)]).table
    taken = table.take(np.array([2, 0]))
    assert taken.paths == (str(tmp_path / "2"), str(tmp_path / "0"))
    assert taken.sizes.tolist() == [8, 3]
    assert taken.changed_ns.tolist() == [os.stat(p).st_ctime_ns for p in taken.paths]
    for other, same in (
        (FileTable(("a", "b"), taken.sizes, taken.changed_ns), True),
        (FileTable(taken.paths, taken.sizes + 1, taken.changed_ns), False),
        (FileTable(taken.paths, taken.sizes, taken.changed_ns + 1), False),
        (table, False),
    ):
        assert taken.same_versions(other) is same


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(ArchiveError, match=r"none\.tar: cannot be opened \(No such"):
        find_files([str(tmp_path / "none.tar")])
