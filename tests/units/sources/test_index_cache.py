"""The saved index of an archive: what was saved, or nothing."""

import errno
import os
import pathlib
import re
import tempfile
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import BinaryIO
from unittest import mock

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.imagenet.names import VALIDATION
from imagenet2012_subset.sources import index_cache
from imagenet2012_subset.sources.source import Entries, Index
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.storage.files import FileTable
from tests.shared import archives

ARCHIVE = epath.Path("manual") / "archive.tar"
SIZE = 1 << 40
COLUMNS = ("names", "files", "offsets", "sizes", "seals")


def _table(sizes: Sequence[int] = (SIZE, SIZE), changed_ns: int = 123) -> FileTable:
    paths = tuple(str(number) for number in range(len(sizes)))
    return FileTable(paths, np.array(sizes), np.full(len(sizes), changed_ns))


def _index(rows, num_others: int = 0, others: Sequence[str] = ()) -> Index:
    columns = zip(*rows, strict=True)
    entries = Entries.from_columns(_table(), *columns)
    return Index(entries, num_others, tuple(others), ("a remark",) * (num_others % 3))


def _path_in(folder: epath.Path) -> epath.Path:
    return index_cache.index_path(folder, ARCHIVE)


def _save(folder: epath.Path | None, index: Index) -> None:
    index_cache.save(folder, ARCHIVE, _table(), index)


def _values(index: Index | None) -> object:
    if index is None:
        return None
    columns = [getattr(index.entries, name) for name in COLUMNS]
    dtypes = [column.dtype.kind for column in columns]
    values = [column.tolist() for column in columns]
    return values, dtypes, index.num_others, index.others, index.remarks


def _load(
    folder: epath.Path | None, data: bytes | None = None, table: FileTable | None = None
) -> object:
    if folder and data is not None:
        _path_in(folder).write_bytes(data)
    return _values(index_cache.load(folder, ARCHIVE, table or _table()))


names = st.builds(
    "n{:08d}_{}.JPEG".format, st.integers(0, 10**8 - 1), st.integers(0, 10**10)
)
rows = st.tuples(
    names.map(str.encode),
    st.integers(0, 1),
    st.integers(0, SIZE // 2),
    st.integers(0, SIZE // 2),
    st.integers(0, 2**32 - 1),
)
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=9)
contents = st.builds(
    _index, st.lists(rows, max_size=20), st.integers(0, 10**7), st.lists(texts)
)
SOME = _index(
    [(b"n01440764_%d.JPEG" % i, 0, 512 + i, i, 2**32 - i) for i in (3, 1, 2)],
    2,
    ("README", "ünï"),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[epath.Path]:
    with tempfile.TemporaryDirectory() as name:
        yield epath.Path(name)


@pytest.fixture(scope="module")
def saved(folder) -> bytes:
    """The bytes of an index with a few images."""
    _save(folder, SOME)
    return _path_in(folder).read_bytes()


@settings(max_examples=50)
@given(contents)
def test_what_is_saved_is_loaded_and_needs_no_pickle(folder, index):
    _save(folder, index)
    assert _load(folder) == _values(index)
    with np.load(os.fspath(_path_in(folder)), allow_pickle=False) as arrays:
        assert not any(arrays[name].dtype.hasobject for name in arrays)


@pytest.mark.parametrize(
    "table", [_table((SIZE, SIZE + 1)), _table((SIZE,)), _table(changed_ns=124)]
)
def test_files_of_other_sizes_or_times_have_no_index(folder, saved, table):
    assert _load(folder, saved) == _values(SOME)
    assert _load(folder, table=table) is None


def test_without_a_folder_or_a_file_there_is_no_index(tmp_path):
    _save(None, SOME)
    assert _load(None) is None
    folder = epath.Path(tmp_path)
    assert _load(folder) is _load(folder / "missing") is None
    # A folder in the place of the index.
    _path_in(folder).mkdir()
    assert _load(folder) is None
    _save(folder, SOME)
    assert list(tmp_path.iterdir()) == [pathlib.Path(_path_in(folder))]


def test_an_index_cut_at_any_length_is_no_index(folder, saved):
    assert _load(folder, saved) == _values(SOME)
    # A zip's directory is at its end: without the last byte there is none.
    for length in {*range(0, len(saved), 23), *range(len(saved) - 40, len(saved))}:
        assert _load(folder, saved[:length]) is None, length


def test_any_changed_byte_gives_no_index_or_the_same(folder, saved):
    for at in range(0, len(saved), 7):
        damaged = bytearray(saved)
        damaged[at] ^= (0xFF, 0x04, 0x01)[at % 3]
        assert _load(folder, bytes(damaged)) in (None, _values(SOME)), at


def test_a_damaged_length_takes_no_memory(folder):
    _save(folder, _index([(b"n01440764_%d.JPEG" % i, 0, 9, 1, 0) for i in range(3000)]))
    shape = b"'shape': (3000,), }" + b" " * 6
    data = _path_in(folder).read_bytes()
    assert shape in data
    damaged = data.replace(shape, b"'shape': (19993000,), }".ljust(len(shape)))
    assert len(damaged) == len(data)
    tracemalloc.start()
    try:
        assert _load(folder, damaged) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 24


WRONG = {
    "format of the future": {"format": np.int64(4)},
    "format of the past": {"format": np.int64(2)},
    "names as text": {"names": np.array(["n01440764_1.JPEG"])},
    "names of other length": {"names": np.array([b"n01440764_1.JPEG"] * 2)},
    "offsets as floats": {"offsets": np.array([512.0])},
    "offsets as a table": {"offsets": np.array([[512]])},
    "negative offset": {"offsets": np.array([-1])},
    "offset past the end": {"offsets": np.array([SIZE + 1])},
    "size past the end": {"sizes": np.array([SIZE - 511])},
    "size that overflows": {"sizes": np.array([2**63 - 1])},
    "negative size": {"sizes": np.array([-1])},
    "a file too many": {"files": np.array([2], np.int32)},
    "a negative file": {"files": np.array([-1], np.int32)},
    "unsigned seals": {"seals": np.array([1], np.uint32)},
    "many counts": {"num_others": np.array([1, 2])},
    "pickled objects": {"others": np.array([object()])},
    "no names": {"names": None},
}
RIGHT = {
    "unchanged": {},
    "an empty image at the end": {"offsets": np.array([SIZE]), "sizes": np.array([0])},
    "an image up to the end": {"sizes": np.array([SIZE - 512])},
    "an image in the last file": {"files": np.array([1], np.int32)},
}


@pytest.mark.parametrize("arrays", [*WRONG, *RIGHT])
def test_an_index_with_other_arrays_is_no_index(tmp_path, arrays):
    ours = {
        "format": np.int64(3),
        "file_sizes": _table().sizes,
        "file_changed_ns": _table().changed_ns,
        "num_others": np.int64(0),
        "others": np.array([], np.bytes_),
        "remarks": np.array([], np.bytes_),
        "names": np.array([b"n01440764_1.JPEG"]),
        "files": np.array([0], np.int32),
        "offsets": np.array([512]),
        "sizes": np.array([10]),
        "seals": np.array([1]),
    }
    changed = ours | (WRONG | RIGHT)[arrays]
    given = {name: array for name, array in changed.items() if array is not None}
    np.savez(os.fspath(_path_in(epath.Path(tmp_path))), **given)
    assert (_load(epath.Path(tmp_path)) is not None) == (arrays in RIGHT)


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (epath.Path(tmp_path) / "file", epath.Path(tmp_path) / "file/below"):
        _save(folder, SOME)
        assert _load(folder) is None


def test_a_read_only_disk_is_no_error(tmp_path, monkeypatch):
    # Linux refuses each call that would write, also the one that removes a file.
    read_only = mock.Mock(side_effect=OSError(errno.EROFS, "Read-only file system"))
    folder = epath.Path(tmp_path)
    for call in ("open", "unlink", "replace"):
        monkeypatch.setattr(type(folder), call, read_only)
    _save(folder, SOME)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_no_error_and_leaves_the_earlier_index(tmp_path, monkeypatch):
    def full(output: BinaryIO, **arrays: object) -> None:
        output.write(b"PK\x03\x04")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = epath.Path(tmp_path)
    _save(folder, SOME)
    monkeypatch.setattr(np, "savez", full)
    _save(folder, _index([], 8))
    assert list(folder.iterdir()) == [_path_in(folder)]
    assert _load(folder) == _values(SOME)


def test_archives_of_one_name_have_an_index_for_each_folder(tmp_path):
    folder = epath.Path(tmp_path)
    paths = {index_cache.index_path(folder, folder / name / "a.tar") for name in "xy"}
    assert len(paths) == 2


# What a second build reads of the archives.


def test_headers_are_read_again_only_if_something_changed(tmp_path):
    path = epath.Path(tmp_path) / VALIDATION.file_name
    path.write_bytes(archives.tar_bytes([(archives.validation_name(1), b"x")]))
    cache = epath.Path(tmp_path) / "cache"

    def read() -> tuple[object, bool]:
        with mock.patch.object(os, "pread", wraps=os.pread) as pread:
            index = TarArchive(path, VALIDATION, cache).index
        return _values(index), pread.called

    first, is_read = read()
    assert is_read
    assert read() == (first, False)
    (saved,) = cache.iterdir()
    assert re.fullmatch(r"ILSVRC2012_img_val\.tar\.\w+\.index\.npz", saved.name)
    saved.write_bytes(saved.read_bytes()[:-7])
    assert read() == (first, True)
    assert read() == (first, False)
    os.utime(path)
    assert read() == (first, True)
    assert read() == (first, False)
    path.write_bytes(archives.tar_bytes([(archives.validation_name(2), b"x")]))
    now = _values(TarArchive(path, VALIDATION).index)
    assert now != first
    assert read() == (now, True)
    assert read() == (now, False)
