"""A tar as a source: what it reads is what was found, or an error."""

from __future__ import annotations

import dataclasses
import zlib

import pytest
from etils import epath

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.imagenet.originals import TRAINING
from imagenet2012_subset.sources.source import Entries
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.sources.tar_index import seal
from imagenet2012_subset.storage.open import open_file
from imagenet2012_subset.tar.headers import BLOCK
from tests.shared import archives

FILES = [(f"n01440764_{n}.JPEG", archives.jpeg(n)) for n in range(5)]


@pytest.fixture
def source(tmp_path) -> TarArchive:
    path = epath.Path(tmp_path / "archive.tar")
    path.write_bytes(archives.tar_bytes(FILES))
    return TarArchive(open_file(path), TRAINING)


def _read(source: TarArchive, entries: Entries) -> list[bytes]:
    return [bytes(data) for data in source.read_in_order(entries)]


def test_each_entry_is_read_as_it_lies_there(source):
    entries = source.index().entries
    assert _read(source, entries) == [data for _, data in FILES]
    assert _read(source, entries.take([4, 0])) == [FILES[4][1], FILES[0][1]]


def test_entries_are_looked_up_by_name(source):
    found = source.look_up(["n01440764_3.JPEG", "n01440764_0.JPEG", "n01440764_9.JPEG"])
    assert [entry.name for entry in found] == ["n01440764_0.JPEG", "n01440764_3.JPEG"]


def test_names_exchanged_are_noticed(source):
    entries = source.index().entries
    exchanged = dataclasses.replace(entries, names=entries.names[::-1])
    with pytest.raises(ArchiveError, match=r"no longer has n01440764_4\.JPEG at"):
        _read(source, exchanged)


def test_names_exchanged_with_a_seal_that_fits_are_noticed(source):
    # Whatever an index says, the name in the header has to be the image's.
    entries = source.index().entries
    content = source.path.read_bytes()
    names = entries.names[::-1]
    seals = [
        seal(name, zlib.crc32(content[offset - BLOCK : offset]))
        for name, offset in zip(names.tolist(), entries.offsets.tolist(), strict=True)
    ]
    forged = Entries.from_columns(
        names.tolist(), [0] * 5, entries.offsets.tolist(), entries.sizes.tolist(), seals
    )
    with pytest.raises(ArchiveError, match=r"no longer has n01440764_4\.JPEG at"):
        _read(source, forged)


def test_another_header_of_the_same_name_is_noticed(source):
    entries = source.index().entries
    content = bytearray(source.path.read_bytes())
    content[int(entries.offsets[0]) - BLOCK + 110] ^= 1  # Of the user's number.
    source.path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"no longer has n01440764_0\.JPEG at byte"):
        _read(source, entries)


def test_names_that_are_too_long_for_a_header_are_told_apart_by_their_seals(tmp_path):
    # Their headers are alike to the last byte: the names stand in headers before.
    folder = "folder/" * 20
    files = [(f"{folder}n01440764_{n}.JPEG", bytes([n]) * 700) for n in (1, 2)]
    path = epath.Path(tmp_path / "archive.tar")
    path.write_bytes(archives.tar_bytes(files))
    source = TarArchive(open_file(path), TRAINING)
    entries = source.index().entries
    assert _read(source, entries) == [data for _, data in files]
    exchanged = dataclasses.replace(entries, names=entries.names[::-1])
    with pytest.raises(ArchiveError, match=r"no longer has n01440764_2\.JPEG at"):
        _read(source, exchanged)
