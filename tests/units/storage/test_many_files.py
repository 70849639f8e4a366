"""Many files read as one give what each of them holds, or say which changed."""

import errno
import os
import pathlib
import resource
import tempfile
import threading
import time

import numpy as np
import pytest
from etils import epath
from hypothesis import given, strategies as st

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.storage import direct_reads as lending
from imagenet2012_subset.storage.direct_reads import DirectReads
from imagenet2012_subset.storage.folders import statuses
from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.many_files import ManyFiles
from imagenet2012_subset.storage.queue import Extent


def _write(folder, contents):
    paths = []
    for number, content in enumerate(contents):
        path = pathlib.Path(folder) / str(number)
        path.write_bytes(content)
        paths.append(str(path))
    return paths


def _opened(paths, direct_reads=None):
    found = statuses(paths)
    return ManyFiles(
        epath.Path("these"),
        paths,
        np.array([status.size for status in found], np.int64),
        np.array([status.changed_ns for status in found], np.int64),
        direct_reads or DirectReads(),
    )


def _bytes(size, seed):
    return np.random.default_rng(seed).bytes(size)


@given(
    sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=40),
    at=st.lists(st.tuples(st.integers(0), st.integers(0), st.integers(0)), max_size=60),
)
def test_any_extents_in_order(sizes, at):
    contents = [_bytes(size, seed) for seed, size in enumerate(sizes)]
    with tempfile.TemporaryDirectory() as folder:
        files = _opened(_write(folder, contents))
        wanted, extents = [], []
        for which, start, length in at:
            content = contents[which % len(contents)]
            begin = start % len(content)
            size = 1 + length % (len(content) - begin)
            wanted.append(content[begin : begin + size])
            where = int(files.starts[which % len(contents)]) + begin
            extents.append(Extent(where, size))
        assert [bytes(data) for data in read_in_order(files, extents)] == wanted


def _whole(files, contents):
    starts = files.starts.tolist()
    return [
        Extent(start, len(content))
        for start, content in zip(starts, contents, strict=True)
    ]


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 511, 512 << 10, 700_000])
def test_whole_files(tmp_path, size):
    contents = [_bytes(size, seed) for seed in range(40)]
    files = _opened(_write(tmp_path, contents))
    extents = _whole(files, contents)
    assert [bytes(data) for data in read_in_order(files, extents)] == contents


def test_a_place_is_told_by_its_file(tmp_path):
    contents = [bytes(4096), bytes(100), bytes(8192)]
    paths = _write(tmp_path, contents)
    files = _opened(paths)
    for number, start in enumerate(files.starts.tolist()):
        size = len(contents[number])
        for offset in (0, size):  # Its end is not the next one's beginning.
            place = files.place(start + offset)
            assert place == (epath.Path(paths[number]), offset, size)


def test_reading_past_an_end_names_the_file(tmp_path):
    paths = _write(tmp_path, [b"abc", b"defg"])
    files = _opened(paths)
    with pytest.raises(ArchiveError) as caught:
        files.read(int(files.starts[1]) + 2, 10)
    assert caught.value.path == paths[1]


def test_where_files_open_slowly_threads_open_them(tmp_path, monkeypatch):
    contents = [_bytes(3000, seed) for seed in range(400)]
    files = _opened(_write(tmp_path, contents))
    opened_by = []
    real_open = os.open

    def slow_open(path, *args, **kwargs):
        if str(path).startswith(str(tmp_path)):
            time.sleep(0.002)
            opened_by.append(threading.get_ident())
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", slow_open)
    extents = _whole(files, contents)
    assert [bytes(data) for data in read_in_order(files, extents)] == contents
    mine = opened_by.count(threading.get_ident())
    assert mine < 100
    assert len(set(opened_by)) > 8


def test_an_error_in_one_of_many_is_told(tmp_path):
    contents = [_bytes(3000, seed) for seed in range(50)]
    paths = _write(tmp_path, contents)
    files = _opened(paths)
    os.truncate(paths[30], 2999)
    with pytest.raises(ArchiveError) as caught:
        list(read_in_order(files, _whole(files, contents)))
    assert caught.value.path == paths[30]
    assert "had 3,000 bytes and now has 2,999" in caught.value.problem


@pytest.mark.parametrize("direct", [True, False])
def test_no_file_stays_open(tmp_path, direct, monkeypatch):
    if not direct:
        monkeypatch.setattr(lending, "LinuxAio", _no_direct_reads)
    contents = [_bytes(3000, seed) for seed in range(100)]
    direct_reads = DirectReads()
    files = _opened(_write(tmp_path, contents), direct_reads)
    extents = _whole(files, contents)
    assert len(list(read_in_order(files, extents))) == 100
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        again = [bytes(data) for data in read_in_order(files, extents)]
        assert again == contents
    assert len(os.listdir("/proc/self/fd")) == before


def _no_direct_reads(path, capacity, slot_bytes):
    raise OSError(22, "Invalid argument", path)


@pytest.mark.parametrize(
    ("number", "again"), [(errno.EAGAIN, True), (errno.EINVAL, False)]
)
def test_direct_reads_that_others_have_for_a_while(
    tmp_path, monkeypatch, number, again
):
    files = _opened(_write(tmp_path, [bytes(5000)]))

    def refused(path, capacity, slot_bytes):
        raise OSError(number, os.strerror(number), path)

    direct_reads = DirectReads()
    with monkeypatch.context() as patched:
        patched.setattr(lending, "LinuxAio", refused)
        with direct_reads.lend(lambda: files.open(0), 16, 4096) as aio:
            assert aio is None
    with direct_reads.lend(lambda: files.open(0), 16, 4096) as aio:
        assert (aio is not None) == again


def test_with_few_open_files_allowed(tmp_path):
    contents = [_bytes(5000, seed) for seed in range(300)]
    files = _opened(_write(tmp_path, contents))
    extents = [
        Extent(extent.offset + at, 512)
        for at in range(0, 4096, 512)
        for extent in _whole(files, contents)
    ]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 20, hard))
    try:
        read = {}
        with files.queue(300, 512) as queue:
            for round_number in range(8):
                batch = extents[300 * round_number : 300 * (round_number + 1)]
                queue.ask(range(300), batch)
                missing = 300
                while missing:
                    for slot, data in queue.take(missing):
                        read[round_number, slot] = bytes(data)
                        missing -= 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for (round_number, slot), data in read.items():
        start = 512 * round_number
        assert data == contents[slot][start : start + 512]
    assert len(read) == 2400
