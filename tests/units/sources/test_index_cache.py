from __future__ import annotations

import errno
import os
import pathlib
import tempfile
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.sources import index_cache
from imagenet2012_subset.sources.discovery import find_sources
from imagenet2012_subset.sources.source import Entries
from imagenet2012_subset.sources.source import Index
from imagenet2012_subset.sources.tar_index import index_tar
from imagenet2012_subset.storage.local_file import LocalFile
from tests.shared import archives

ARCHIVE_SIZE = 1 << 40
COLUMNS = ("names", "files", "offsets", "sizes", "seals")


class _Archive:
    """What an index knows of an archive: where it is, its size and time."""

    def __init__(self, size: int = ARCHIVE_SIZE, mtime_ns: int = 1_700_000_000_123):
        self.path = epath.Path("manual") / "archive.tar"
        self.size = size
        self.mtime_ns = mtime_ns


def path_in(folder: epath.Path) -> epath.Path:
    return index_cache.index_path(folder, _Archive().path)


def _entries(rows: Iterable[tuple[bytes, int, int, int]]) -> Entries:
    rows = [(name, 0, *numbers) for name, *numbers in rows]
    return Entries.from_columns(*zip(*rows, strict=True))


EMPTY = Index(Entries.from_columns())


def as_values(index: Index | None) -> object:
    if index is None:
        return None
    entries = index.entries
    columns = [getattr(entries, name) for name in COLUMNS]
    dtypes = [column.dtype.kind for column in columns]
    values = [column.tolist() for column in columns]
    return values, dtypes, index.num_others, index.others


rows = st.lists(
    st.tuples(
        st.builds("n{:08d}_{}.JPEG".format, st.integers(0, 10**8 - 1), st.integers(0))
        .map(lambda name: name[:28])
        .map(str.encode),
        st.integers(512, ARCHIVE_SIZE // 2),
        st.integers(0, ARCHIVE_SIZE // 2),
        st.integers(0, 2**32 - 1),
    ),
    max_size=20,
)
others = st.lists(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
)
contents = st.builds(
    lambda rows, num_others, others: Index(_entries(rows), num_others, tuple(others)),
    rows,
    st.integers(0, 10**7),
    others,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[epath.Path]:
    with tempfile.TemporaryDirectory() as name:
        yield epath.Path(name)


@pytest.fixture(scope="module")
def saved(folder) -> tuple[bytes, object]:
    """The bytes of an index with a few images, and what they say."""
    rows = [(f"n01440764_{i}.JPEG".encode(), 512 + i, i, 2**32 - i) for i in (3, 1, 2)]
    index = Index(_entries(rows), 2, ("README", "ünï"))
    index_cache.save(folder, _Archive(), index)
    return path_in(folder).read_bytes(), as_values(index)


def _load(folder: epath.Path, data: bytes) -> object:
    path_in(folder).write_bytes(data)
    return as_values(index_cache.load(folder, _Archive()))


@settings(deadline=None, max_examples=50)
@given(contents)
def test_what_is_saved_is_loaded(folder, index):
    index_cache.save(folder, _Archive(), index)
    assert as_values(index_cache.load(folder, _Archive())) == as_values(index)


@settings(deadline=None, max_examples=30)
@given(contents)
def test_numpy_opens_an_index_without_pickle(folder, index):
    index_cache.save(folder, _Archive(), index)
    with np.load(os.fspath(path_in(folder)), allow_pickle=False) as arrays:
        assert int(arrays["archive_size"]) == ARCHIVE_SIZE
        assert arrays["names"].tolist() == index.entries.names.tolist()
        assert arrays["offsets"].tolist() == index.entries.offsets.tolist()
        assert not any(arrays[name].dtype.hasobject for name in arrays)


def test_a_later_index_replaces_an_earlier_one(tmp_path):
    folder = epath.Path(tmp_path) / "new folder" / "kept"
    for number in (5, 3):
        index_cache.save(folder, _Archive(), Index(Entries.from_columns(), number))
    assert index_cache.load(folder, _Archive()).num_others == 3
    assert list(folder.iterdir()) == [path_in(folder)]


@pytest.mark.parametrize(
    "changed", [{"size": ARCHIVE_SIZE + 1}, {"mtime_ns": 1_700_000_000_124}]
)
def test_an_archive_of_another_size_or_time_has_no_index(folder, saved, changed):
    data, values = saved
    assert _load(folder, data) == values
    assert index_cache.load(folder, _Archive(**changed)) is None


def test_where_no_index_is_there_is_none(tmp_path):
    assert index_cache.load(epath.Path(tmp_path), _Archive()) is None
    assert index_cache.load(epath.Path(tmp_path) / "missing", _Archive()) is None


def test_without_a_folder_nothing_is_kept():
    index_cache.save(None, _Archive(), EMPTY)
    assert index_cache.load(None, _Archive()) is None


def test_a_folder_in_the_place_of_an_index_is_no_index(tmp_path):
    path = path_in(epath.Path(tmp_path))
    path.mkdir()
    assert index_cache.load(epath.Path(tmp_path), _Archive()) is None
    index_cache.save(epath.Path(tmp_path), _Archive(), EMPTY)
    assert list(tmp_path.iterdir()) == [pathlib.Path(path)]


def test_an_index_cut_at_any_length_is_no_index(folder, saved):
    data, values = saved
    assert _load(folder, data) == values
    # A zip's directory is at its end: without the last byte there is none.
    for length in {*range(0, len(data), 23), *range(len(data) - 40, len(data))}:
        assert _load(folder, data[:length]) is None, length


def test_any_changed_byte_gives_no_index_or_the_same(folder, saved):
    data, values = saved
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= (0xFF, 0x04, 0x01)[at % 3]
        assert _load(folder, bytes(damaged)) in (None, values), at


def test_a_damaged_length_takes_no_memory(folder):
    rows = [(b"n01440764_%d.JPEG" % i, 512, 1, 0) for i in range(3000)]
    index_cache.save(folder, _Archive(), Index(_entries(rows)))
    said = b"'shape': (3000,), }" + b" " * 6
    data = path_in(folder).read_bytes()
    assert said in data
    damaged = data.replace(said, b"'shape': (19993000,), }".ljust(len(said)))
    assert len(damaged) == len(data)
    tracemalloc.start()
    try:
        assert _load(folder, damaged) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 24


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0), st.binary(min_size=1, max_size=9)),
        min_size=1,
        max_size=6,
    )
)
def test_overwritten_bytes_give_no_index_or_the_same(folder, saved, changes):
    data, values = saved
    damaged = bytearray(data)
    for place, overwrite in changes:
        at = place % len(data)
        damaged[at : at + len(overwrite)] = overwrite
    assert _load(folder, bytes(damaged)) in (None, values)


@settings(deadline=None)
@given(
    st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda rest: b"PK\x03\x04" + rest)
    | st.binary(max_size=300).map(lambda rest: b"\x93NUMPY\x01\0" + rest)
)
def test_random_bytes_are_no_index(folder, data):
    assert _load(folder, data) is None


WRONG = {
    "format of the future": {"format": np.int64(3)},
    "names as text": {"names": np.array(["n01440764_1.JPEG"])},
    "names of other length": {"names": np.array([b"n01440764_1.JPEG"] * 2)},
    "offsets as floats": {"offsets": np.array([512.0])},
    "offsets as a table": {"offsets": np.array([[512]])},
    "negative offset": {"offsets": np.array([-1])},
    "offset without room for a header": {"offsets": np.array([511])},
    "format of the past": {"format": np.int64(1)},
    "offset past the end": {"offsets": np.array([ARCHIVE_SIZE])},
    "size past the end": {"sizes": np.array([ARCHIVE_SIZE])},
    "size that overflows": {"sizes": np.array([2**63 - 1])},
    "negative size": {"sizes": np.array([-1])},
    "unsigned seals": {"seals": np.array([1], np.uint32)},
    "many counts": {"num_others": np.array([1, 2])},
    "pickled objects": {"others": np.array([object()])},
    "no names": {"names": None},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_index_with_other_arrays_than_ours_is_no_index(tmp_path, wrong):
    folder = epath.Path(tmp_path)
    arrays = {
        "format": np.int64(2),
        "archive_size": np.int64(ARCHIVE_SIZE),
        "archive_mtime_ns": np.int64(_Archive().mtime_ns),
        "num_others": np.int64(0),
        "others": np.array([], np.bytes_),
        "names": np.array([b"n01440764_1.JPEG"]),
        "offsets": np.array([512]),
        "sizes": np.array([10]),
        "seals": np.array([1]),
    }
    np.savez(os.fspath(path_in(folder)), **arrays)
    assert index_cache.load(folder, _Archive()) is not None
    arrays |= wrong
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(os.fspath(path_in(folder)), **kept)
    assert index_cache.load(folder, _Archive()) is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (epath.Path(tmp_path) / "file", epath.Path(tmp_path) / "file/below"):
        index_cache.save(folder, _Archive(), EMPTY)
        assert index_cache.load(folder, _Archive()) is None


def test_a_read_only_disk_is_no_error(tmp_path, monkeypatch):
    # Linux says so of each call that would write, that to remove a file among them.
    def read_only(self: epath.Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    folder = epath.Path(tmp_path)
    for call in ("open", "unlink", "replace"):
        monkeypatch.setattr(type(folder), call, read_only)
    index_cache.save(folder, _Archive(), EMPTY)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_no_error_and_leaves_what_was_there(tmp_path, monkeypatch):
    def full(output: BinaryIO, **arrays: object) -> None:
        output.write(b"PK\x03\x04")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = epath.Path(tmp_path)
    index_cache.save(folder, _Archive(), Index(Entries.from_columns(), 7))
    monkeypatch.setattr(np, "savez", full)
    index_cache.save(folder, _Archive(), Index(Entries.from_columns(), 8))
    assert list(folder.iterdir()) == [path_in(folder)]
    assert index_cache.load(folder, _Archive()).num_others == 7


def test_archives_of_one_name_in_two_folders_have_two_indices(tmp_path):
    folder = epath.Path(tmp_path)
    paths = {index_cache.index_path(folder, folder / name / "a.tar") for name in "xy"}
    assert len(paths) == 2


# The whole: what a second build reads of the archives.


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """Grows by the offset of each header that is read."""
    offsets: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        # The start of an archive is looked at each time, to see that it is a tar.
        if offset:
            offsets.append(offset)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    return offsets


def _images(folder: pathlib.Path, index_folder: pathlib.Path) -> list[object]:
    sources = find_sources(epath.Path(folder), epath.Path(index_folder))
    return [as_values(source.index()) for source in sources]


def test_headers_are_read_once_and_not_again(small_data, tmp_path, reads):
    first = _images(small_data.manual_dir, tmp_path / "kept")
    assert reads
    reads.clear()
    assert _images(small_data.manual_dir, tmp_path / "kept") == first
    assert not reads


@pytest.mark.parametrize("original", [TRAINING, VALIDATION])
def test_only_an_archive_that_changed_is_read_again(
    small_data, tmp_path, reads, original
):
    first = _images(small_data.manual_dir, tmp_path / "kept")
    reads.clear()
    path = small_data.manual_dir / original.file_name
    name = "n01440764_99.JPEG"
    path.write_bytes(archives.tar_bytes([(name, archives.jpeg(1))]))
    again = _images(small_data.manual_dir, tmp_path / "kept")
    changed = [TRAINING, VALIDATION].index(original)
    assert again[1 - changed] == first[1 - changed]
    assert again[changed] == as_values(index_tar(LocalFile(epath.Path(path))))
    assert reads


def test_a_touched_archive_is_read_again(small_data, tmp_path, reads):
    _images(small_data.manual_dir, tmp_path / "kept")
    reads.clear()
    path = small_data.manual_dir / VALIDATION.file_name
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    _images(small_data.manual_dir, tmp_path / "kept")
    assert reads


def test_a_damaged_index_is_made_again(small_data, tmp_path, reads):
    first = _images(small_data.manual_dir, tmp_path / "kept")
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(path.read_bytes()[:-7])
    reads.clear()
    assert _images(small_data.manual_dir, tmp_path / "kept") == first
    assert reads
    reads.clear()
    assert _images(small_data.manual_dir, tmp_path / "kept") == first
    assert not reads


def test_no_half_written_index_is_left(small_data, tmp_path):
    _images(small_data.manual_dir, tmp_path / "kept")
    left = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert [name.partition(".tar.")[0] for name in left] == [
        "ILSVRC2012_img_train",
        "ILSVRC2012_img_val",
    ]
    assert all(name.endswith(".index.npz") for name in left)
