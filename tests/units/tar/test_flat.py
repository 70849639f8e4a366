"""A tar walked in pieces gives what the walk from header to header gives.

Members or error. Where a piece is begun, a member's data may look like headers as well.
"""

from __future__ import annotations

import itertools
import tarfile

import pytest
from etils import epath
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.portable_file import PortableFile
from imagenet2012_subset.tar.flat import find_headers
from imagenet2012_subset.tar.headers import BLOCK
from imagenet2012_subset.tar.piece import Piece
from imagenet2012_subset.tar.walk import walk
from tests.shared.counting_file import CountingFile
from tests.shared.tars import (
    FORMATS,
    Entry,
    TarMember,
    any_format,
    as_rows,
    by_tarfile,
    header,
    make_tar,
    opened,
    sealed,
    sparse_tar,
    tars,
    walk_in_pieces,
    walk_in_turn,
    whole,
)

END_BLOCKS = 2 * BLOCK

numbers_in_flight = st.sampled_from([2, 3, 5, 8, 256])
ways_to_cut = st.fixed_dictionaries(
    {
        "in_flight": numbers_in_flight,
        "members_a_piece": st.integers(1, 4),
        "beginning_bytes": st.sampled_from([0, 1, BLOCK, 3 * BLOCK, 8 * BLOCK]),
    }
)
Outcome = list[TarMember] | str


def _in_turn(file: File) -> Outcome:
    try:
        return as_rows(walk_in_turn(file))
    except ArchiveError as error:
        return error.problem


def _in_pieces(file: File, **options: int) -> Outcome:
    try:
        return as_rows(walk_in_pieces(file, **options))
    except ArchiveError as error:
        return error.problem


@st.composite
def tars_with_tars(draw: st.DrawFn) -> bytes:
    """Tars of many members, some of which hold a tar's bytes, or the end of one.

    A tar that was appended to may have global pax headers anywhere.
    """
    data = st.binary(max_size=1500) | tars(max_size=3)
    rows = st.tuples(data, st.sampled_from([{}, {}, {"comment": "x"}]))
    stretches = []
    for rows_drawn in draw(st.lists(st.lists(rows, max_size=12), max_size=3)):
        tar_format = draw(any_format)
        options = {}
        if tar_format == FORMATS["pax"]:
            headers = [{}, {"comment": "of all"}, {"path": "renamed"}]
            options = {"pax_headers": draw(st.sampled_from(headers))}
        entries = [
            Entry(f"member {number}", content, pax_headers=own_headers)
            for number, (content, own_headers) in enumerate(rows_drawn)
        ]
        stretches.append(make_tar(entries, tar_format, **options)[:-END_BLOCKS])
    return b"".join(stretches) + bytes(END_BLOCKS)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Tars with bytes overwritten, and the rest of another after them."""
    data = bytearray(draw(tars_with_tars()) + draw(tars_with_tars()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        overwrite = draw(st.binary(min_size=1, max_size=600) | st.just(bytes(BLOCK)))
        data[at : at + len(overwrite)] = overwrite
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


@settings(deadline=None, max_examples=300)
@given(tars_with_tars() | damaged(), ways_to_cut)
def test_walking_in_pieces_changes_nothing(data, cut):
    with opened(data) as file:
        assert _in_pieces(file, **cut) == _in_turn(file)


@settings(deadline=None, max_examples=60)
@given(tars_with_tars() | damaged(), ways_to_cut)
def test_a_portable_file_changes_nothing(data, cut):
    with opened(data) as file, opened(data, PortableFile) as portable:
        assert _in_pieces(portable, **cut) == _in_turn(file)


@settings(deadline=None, max_examples=100)
@given(tars_with_tars() | damaged(), st.sampled_from([8, 9, 256]))
def test_direct_reads_change_nothing(data, in_flight):
    # A queue of so many reads is direct, where the platform has direct reads.
    with opened(data) as file:
        tar = whole(file)
        pieces = [Piece(file, tar, 0, file.size) for _ in range(3)]
        for piece in walk(file, pieces, in_flight=in_flight):
            outcome = piece.error.problem if piece.error else as_rows(piece.members)
            assert outcome == _in_turn(file)


@pytest.mark.parametrize("setting", [{"path": "renamed"}, {"comment": "of all"}])
@pytest.mark.parametrize("at", [1, 30, 59])
def test_a_global_pax_header_far_into_a_tar_holds_for_all_that_follow(setting, at):
    entries = [Entry(f"{number}.JPEG", bytes(700)) for number in range(60)]
    before = make_tar(entries[:at], FORMATS["pax"])[:-END_BLOCKS]
    data = before + make_tar(entries[at:], FORMATS["pax"], pax_headers=setting)
    with opened(data) as file:
        members = walk_in_pieces(
            file, beginning_bytes=1, members_a_piece=2, in_flight=16
        )
    assert [row[:3] for row in as_rows(members)] == by_tarfile(data)


def test_a_long_tar_takes_a_fraction_of_the_reads_after_each_other():
    entries = [Entry(f"n01440764_{i}.JPEG", bytes(i % 1500)) for i in range(2000)]
    data = make_tar(entries, tarfile.GNU_FORMAT)
    with opened(data, CountingFile) as file:
        members = walk_in_pieces(
            file, in_flight=32, members_a_piece=50, beginning_bytes=16 << 10
        )
        assert isinstance(file, CountingFile)
        assert len(file.counts) < 2 * len(entries) / 10
    assert [row[:3] for row in as_rows(members)] == by_tarfile(data)


@pytest.mark.parametrize("size", [70_000, 150_000, 900_000])
def test_a_tar_of_long_members_is_walked_in_pieces_as_well(tmp_path, size):
    # The next header is then far behind the place where a piece is to begin.
    path = tmp_path / "archive.tar"
    sparse_tar(path, 400, size)
    file = CountingFile(epath.Path(path))
    members = walk_in_pieces(
        file, in_flight=32, members_a_piece=10, beginning_bytes=10 * size
    )
    assert members.names == [b"n01440764_%d.JPEG" % number for number in range(400)]
    assert set(members.sizes) == {size}
    assert len(file.counts) < 100


def test_progress_comes_while_pieces_are_walked(tmp_path):
    path = tmp_path / "archive.tar"
    sparse_tar(path, 4000, 3000)
    file = LocalFile(epath.Path(path))
    steps: list[int] = []
    walk_in_pieces(
        file,
        in_flight=32,
        members_a_piece=100,
        beginning_bytes=64 << 10,
        on_progress=steps.append,
    )
    # Each of the 32 pieces and more is reported as it ends, at the latest.
    assert len([step for step in steps if step]) >= 3
    assert max(steps) < file.size
    assert file.size * 0.9 < sum(steps) <= file.size


HEADER = sealed(header("n01440764_1.JPEG"))


@pytest.mark.parametrize("before", [0, 1, 127, 128, 129, 1000, 2047])
@pytest.mark.parametrize("start", [0, BLOCK, 3 * BLOCK])
def test_the_next_header_is_found_up_to_a_megabyte_away(before, start):
    data = HEADER * (start // BLOCK) + bytes(before * BLOCK) + HEADER + b"\xff" * BLOCK
    with opened(data) as file:
        found = find_headers(file, [start], file.size)
    assert found == {start + before * BLOCK}


def test_a_header_more_than_a_megabyte_away_is_not_looked_for():
    with opened(bytes(2048 * BLOCK) + HEADER) as file:
        assert not find_headers(file, [0], file.size)


@pytest.mark.parametrize("rest", [0, 1, BLOCK - 1])
def test_a_header_beyond_the_end_of_the_tar_is_none_of_it(rest):
    with opened(bytes(5 * BLOCK) + HEADER) as file:
        assert not find_headers(file, [0], 5 * BLOCK + rest)


def test_the_place_where_a_piece_begins_may_be_a_tar_in_a_member():
    inner = make_tar([Entry(f"inner {i}", b"y" * 300) for i in range(40)], 1)
    outer = [Entry(f"{i}", inner if i % 3 else b"x") for i in range(30)]
    data = make_tar(outer, tarfile.GNU_FORMAT)
    for members, in_flight in itertools.product((1, 2, 5), (8, 64)):
        with opened(data) as file:
            found = walk_in_pieces(
                file,
                beginning_bytes=1,
                members_a_piece=members,
                in_flight=in_flight,
            )
        assert [row[:3] for row in as_rows(found)] == by_tarfile(data)
