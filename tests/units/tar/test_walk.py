"""The quick walk of a tar against the standard library's `tarfile`."""

from __future__ import annotations

import itertools
import tarfile
import time
import zlib

import pytest
from etils import epath
from hypothesis import assume, given, settings, strategies as st

from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.tar.headers import BLOCK
from imagenet2012_subset.tar.members import Tar
from imagenet2012_subset.tar.piece import Piece
from imagenet2012_subset.tar.walk import walk
from tests.shared import direct_reads
from tests.shared.tars import (
    END_OF_ARCHIVE,
    FORMATS,
    Entry,
    as_rows,
    by_tarfile,
    entries,
    header,
    make_tar,
    opened,
    sealed,
    tars,
    walk_one,
    walked,
    whole,
)

quickly = settings(deadline=None, max_examples=60)


@quickly
@given(tars())
def test_finds_what_tarfile_finds(data):
    assert walked(data) == by_tarfile(data)


@quickly
@given(st.lists(entries, min_size=1, max_size=5), st.text(max_size=600))
def test_global_pax_headers_change_nothing_by_a_comment(members, comment):
    data = make_tar(members, tarfile.PAX_FORMAT, pax_headers={"comment": comment})
    assert walked(data) == by_tarfile(data)


@pytest.mark.parametrize("setting", [{"path": "renamed"}, {"size": "7"}])
def test_global_pax_headers_that_set_a_name_or_size_hold_for_plain_members(setting):
    members = [Entry("a.JPEG", b"1" * 600), Entry("b.JPEG", b"2" * 30)]
    data = make_tar(members, tarfile.PAX_FORMAT, pax_headers=setting)
    assert walked(data) == by_tarfile(data)


@pytest.mark.parametrize(
    ("tar_format", "length"),
    [("ustar", n) for n in (99, 100, 101, 155, 156, 254)]
    + [(f, n) for f in ("gnu", "pax") for n in (99, 100, 101, 255, 256, 257, 1000)],
)
def test_names_of_any_length_are_whole(tar_format, length):
    name = ("folder/" * 200)[:length].rstrip("/").ljust(length, "x")
    data = make_tar([Entry(name, b"data"), Entry("next")], FORMATS[tar_format])
    assert [row[0] for row in walked(data)] == [name.encode(), b"next"]


def test_regular_files_of_the_oldest_tars_are_found():
    block = header("n01440764_1.JPEG", 5, tarfile.AREGTYPE)
    block[257:265] = bytes(8)  # Before POSIX a header had no magic.
    data = sealed(block) + b"bytes".ljust(BLOCK, b"\0") + END_OF_ARCHIVE
    assert walked(data) == [(b"n01440764_1.JPEG", BLOCK, 5)] == by_tarfile(data)


def test_only_regular_files_are_listed():
    kinds = [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
    members = [Entry("first", b"1"), *(Entry("x", type=kind) for kind in kinds)]
    data = make_tar([*members, Entry("last", b"2")], tarfile.GNU_FORMAT)
    assert [row[0] for row in walked(data)] == [b"first", b"last"]


@quickly
@given(tars())
def test_header_crc_is_that_of_the_block_before_the_data(data):
    for member in walk_one(data):
        before = data[member.offset - BLOCK : member.offset]
        assert member.header_crc == zlib.crc32(before)


@quickly
@given(tars(), st.binary(max_size=1500))
def test_what_follows_the_end_of_the_archive_does_not_count(data, garbage):
    members = by_tarfile(data)
    assert walked(data + garbage) == members


@quickly
@given(tars(max_size=4))
def test_end_of_archive_blocks_may_be_missing(data):
    members = by_tarfile(data)
    assume(members)
    name, offset, size = members[-1]
    last = [name, offset, size]
    for end in {offset + size, offset + -(-size // BLOCK) * BLOCK}:
        found = walked(data[:end])
        assert found == members
        assert list(found[-1]) == last


@quickly
@given(st.lists(tars(max_size=3), max_size=6), st.data())
def test_number_of_tars_in_flight_changes_nothing(parts, draw):
    ends = list(itertools.accumulate(map(len, parts)))
    where = [
        Tar(str(i), end - len(part), end)
        for i, (part, end) in enumerate(zip(parts, ends, strict=True))
    ]
    tars_walked = draw.draw(st.permutations(where))
    with opened(b"".join(parts)) as file:

        def walk_all(in_flight: int) -> dict[Tar, Piece]:
            pieces = [Piece(file, tar, tar.start, tar.end) for tar in tars_walked]
            done = list(walk(file, pieces, in_flight=in_flight))
            assert len(done) == len(pieces)
            return {piece.tar: piece for piece in done}

        results = [walk_all(in_flight) for in_flight in (1, 2, 8, 256)]
    for part, tar in zip(parts, where, strict=True):
        for walked_so in results:
            piece = walked_so[tar]
            assert piece.error is None
            assert piece.members == results[0][tar].members
        members = as_rows(results[0][tar].members)
        assert [(m.name, m.offset - tar.start, m.size) for m in members] == (
            by_tarfile(part)
        )


def test_pieces_come_as_they_are_done():
    short = make_tar([Entry("one", b"x")], tarfile.GNU_FORMAT)
    long = make_tar([Entry(str(i), b"x") for i in range(50)], tarfile.GNU_FORMAT)
    with opened(long + short) as file:
        pieces = [
            Piece(file, Tar("long", 0, len(long)), 0, len(long)),
            Piece(file, Tar("short", len(long), file.size), len(long), file.size),
        ]
        assert [piece.tar.name for piece in walk(file, pieces)] == ["short", "long"]


def test_an_error_of_one_piece_does_not_keep_the_others_from_their_end():
    bad = sealed(header("n01440764_1.JPEG", 10_000)) + END_OF_ARCHIVE
    good = make_tar([Entry(str(i), b"x") for i in range(5)], tarfile.GNU_FORMAT)
    with opened(bad + good) as file:
        pieces = [
            Piece(file, Tar("bad", 0, len(bad)), 0, len(bad)),
            Piece(file, Tar("good", len(bad), file.size), len(bad), file.size),
        ]
        done = {piece.tar.name: piece for piece in walk(file, pieces)}
    assert "n01440764_1.JPEG takes 10,000 bytes" in done["bad"].error.problem
    assert done["good"].error is None
    assert done["good"].members.names == [b"0", b"1", b"2", b"3", b"4"]


class _SlowFile(LocalFile):
    """A disk of which each read takes a hundredth of a second."""

    def read(self, offset: int, size: int) -> bytes:
        time.sleep(0.01)
        return super().read(offset, size)


def test_progress_of_a_long_tar_comes_while_it_is_walked():
    data = make_tar([Entry(str(i), b"x") for i in range(40)], tarfile.GNU_FORMAT)
    steps: list[int] = []
    with opened(data, _SlowFile) as file:
        tar = whole(file)
        piece = Piece(file, tar, tar.start, tar.end)
        for _ in walk(file, [piece], in_flight=1, on_progress=steps.append):
            assert sum(steps) == len(data)
    # 0.4 seconds; what comes at the end alone would be one step.
    assert len([step for step in steps if step]) >= 4
    assert max(steps) < len(data) // 2


def test_a_walk_that_is_left_leaves_nothing_open(tmp_path):
    inner = make_tar([Entry(str(i), b"x") for i in range(9)], tarfile.GNU_FORMAT)
    path = epath.Path(tmp_path / "archive.tar")
    path.write_bytes(inner * 20)
    file = direct_reads.open_for_direct_reads(path)
    before = direct_reads.num_open_files()
    pieces = [
        Piece(file, Tar(str(start), start, start + len(inner)), start, 1 << 40)
        for start in range(0, file.size, len(inner))
    ]
    walked_so_far = walk(file, pieces, in_flight=8)
    next(walked_so_far)
    assert direct_reads.num_open_files() == before + 1
    walked_so_far.close()
    assert direct_reads.num_open_files() == before
