"""What is found in a tar of images, by construction: each image where its bytes are."""

from __future__ import annotations

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.sources.source import decoded
from imagenet2012_subset.sources.source import Index
from imagenet2012_subset.sources.tar_index import index_tar
from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.portable_file import PortableFile
from imagenet2012_subset.tar.headers import BLOCK
from tests.shared import archives
from tests.shared.tars import (
    header,
    nested_tars,
    opened,
    right_or_an_error,
    sealed,
    sparse_tar,
)

quickly = settings(deadline=None, max_examples=60)


def indexed(data: bytes, **options: object) -> Index:
    with opened(data) as file:
        return index_tar(file, **options)


def _named_bytes(found: Index, data: bytes) -> list[tuple[str, bytes]]:
    return [
        (entry.name, data[entry.offset : entry.offset + entry.size])
        for entry in found.entries
    ]


@quickly
@given(nested_tars())
def test_locates_each_image_in_nested_tars_where_its_bytes_are(made):
    images, data, num_others = made
    found = indexed(data)
    assert _named_bytes(found, data) == [(e.name, e.data) for e in images]
    assert found.num_others == num_others
    assert len(found.others) == min(num_others, 5)


@quickly
@given(nested_tars())
def test_a_portable_file_gives_what_a_local_file_gives(made):
    _, data, _ = made
    with opened(data, PortableFile) as file:
        portable = index_tar(file)
    local = indexed(data)
    assert list(portable.entries) == list(local.entries)
    assert portable.num_others == local.num_others
    assert portable.others == local.others


@quickly
@given(nested_tars(), st.sampled_from([1, 2, 256]))
def test_progress_adds_up_to_the_archive(made, in_flight):
    _, data, _ = made
    steps: list[int] = []
    indexed(data, in_flight=in_flight, on_progress=steps.append)
    assert sum(steps) == len(data)


def test_a_long_archive_is_found_as_a_whole_and_its_progress_adds_up(tmp_path):
    # Of 20 MB, which is long enough to be walked in pieces.
    path = tmp_path / "archive.tar"
    sparse_tar(path, 20_000, BLOCK)
    file = LocalFile(epath.Path(path))
    steps: list[int] = []
    found = index_tar(file, on_progress=steps.append)
    assert decoded(found.entries.names) == [
        f"n01440764_{number}.JPEG" for number in range(20_000)
    ]
    starts = [BLOCK + 2 * BLOCK * number for number in range(20_000)]
    assert found.entries.offsets.tolist() == starts
    assert sum(steps) == file.size
    assert len([step for step in steps if step]) >= 3


def test_images_without_a_tar_around_them_are_indexed():
    files = [(archives.validation_name(i), archives.jpeg(i)) for i in (3, 1, 2)]
    data = archives.tar_bytes(files)
    assert _named_bytes(indexed(data), data) == files


def test_only_the_first_foreign_files_are_named():
    data = archives.tar_bytes([(f"folder/{i}.txt", b"") for i in range(9)])
    found = indexed(data)
    assert found.num_others == 9
    assert found.others == tuple(f"folder/{i}.txt" for i in range(5))


def test_a_foreign_file_called_tar_that_is_none_is_an_error():
    with pytest.raises(ArchiveError, match="no valid tar header"):
        indexed(archives.tar_bytes([("n01440764.tar", b"<html>" * 200)]))


@settings(deadline=None, max_examples=150)
@given(nested_tars(), st.data())
def test_a_cut_gives_an_error_or_the_images_before_it(made, draw):
    images, data, _ = made
    length = draw.draw(st.integers(0, len(data)))
    found = right_or_an_error(data[:length], indexed)
    if found is not None:
        seen = _named_bytes(found, data)
        complete = [(e.name, e.data) for e in images]
        assert all(image in complete for image in seen)
        assert len(seen) <= len(complete)
        assert all(len(e) for _, e in seen) or b"" in [e for _, e in complete]


@settings(deadline=None, max_examples=150)
@given(
    nested_tars(),
    st.lists(
        st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=24)),
        min_size=1,
        max_size=8,
    ),
)
def test_overwritten_bytes_give_members_inside_the_archive_or_an_error(made, changes):
    _, data, _ = made
    damaged = bytearray(data)
    for place, overwrite in changes:
        at = place % len(data)
        damaged[at : at + len(overwrite)] = overwrite
    found = right_or_an_error(bytes(damaged), indexed)
    if found is not None:
        entries = found.entries
        assert np.all(entries.sizes >= 0)
        assert np.all(entries.offsets >= BLOCK)
        assert np.all(entries.offsets + entries.sizes <= len(damaged))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=2000) | st.binary(min_size=BLOCK, max_size=BLOCK))
def test_random_bytes_give_an_error_or_nothing(data):
    found = right_or_an_error(data, indexed)
    assert found is None or not len(found.entries)


def test_a_member_that_reaches_past_its_inner_tar_is_an_error():
    inner = sealed(header("n01440764_1.JPEG", 2 * BLOCK)) + bytes(BLOCK)
    data = archives.tar_bytes([("n01440764.tar", inner), ("other", bytes(9 * BLOCK))])
    with pytest.raises(ArchiveError, match=r"n01440764\.tar ends at byte 1,536"):
        indexed(data)


def test_what_macos_puts_beside_a_tar_is_no_tar():
    inner = archives.tar_bytes([("n01440764_1.JPEG", b"x")])
    beside = b"\0\x05\x16\x07" + b"Mac OS X".ljust(600)
    data = archives.tar_bytes([("./._n01440764.tar", beside), ("n01440764.tar", inner)])
    found = indexed(data)
    assert found.others == ("./._n01440764.tar",)
    assert _named_bytes(found, data) == [("n01440764_1.JPEG", b"x")]


@pytest.mark.parametrize("after", ["n01440764_1.JPEG", "folder/" * 40 + "README"])
def test_an_empty_file_called_tar_holds_nothing(after):
    data = archives.tar_bytes([("empty.tar", b""), (after, b"x"), ("empty2.tar", b"")])
    assert len(indexed(data).entries) + indexed(data).num_others == 1


def test_an_inner_tar_without_room_for_a_header_is_an_error():
    data = archives.tar_bytes([("short.tar", b"x" * 100), ("next", b"")])
    with pytest.raises(ArchiveError):
        indexed(data)
