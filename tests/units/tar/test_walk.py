"""What walking tars finds, compared with the standard library's `tarfile`."""

import tarfile
import zlib
from unittest import mock

import pytest
from hypothesis import assume, given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage import in_step
from imagenet2012_subset.storage.files import Files
from imagenet2012_subset.storage.open import find_files
from imagenet2012_subset.tar.headers import BLOCK, Tar, has_checksum
from imagenet2012_subset.tar.walk import find_headers, walk_nested, walk_tars
from tests.shared.tars import (
    END_OF_ARCHIVE,
    FORMATS,
    Entry,
    TarMember,
    any_format,
    as_rows,
    by_tarfile,
    header,
    is_tar,
    make_tar,
    nested_tars,
    no_tar,
    opened,
    right_or_an_error,
    sealed,
    sparse_tar,
    tars,
    walk_in_pieces,
    walk_one,
    walk_one_by_one,
    walked,
    whole,
)

pytestmark = pytest.mark.usefixtures("platform")
quickly = settings(max_examples=40)


@quickly
@given(tars())
def test_finds_what_tarfile_finds(data):
    members = walk_one(data)
    assert [member[:3] for member in members] == by_tarfile(data)
    for member in members:
        before = data[member.offset - BLOCK : member.offset]
        assert member.header_crc == zlib.crc32(before)


@pytest.mark.parametrize(
    "setting", [{"path": "renamed"}, {"size": "7"}, {"comment": "of all"}]
)
@pytest.mark.parametrize("at", [0, 1, 30, 59])
def test_a_global_pax_header_applies_to_all_members_that_follow(setting, at):
    members = [Entry(f"{number}.JPEG", bytes(700)) for number in range(60)]
    before = make_tar(members[:at], FORMATS["pax"]).removesuffix(END_OF_ARCHIVE)
    data = before + make_tar(members[at:], FORMATS["pax"], pax_headers=setting)
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


def test_a_member_of_a_gibibyte_or_more_is_whole(tmp_path):
    path = tmp_path / "archive.tar"
    with path.open("wb") as output:
        output.write(sealed(header("long", 5 << 30)))
        output.seek(BLOCK + (5 << 30))  # A hole: it takes no disk space.
        output.write(make_tar([Entry("last", b"x")], tarfile.GNU_FORMAT))
    with Files(find_files([str(path)])) as files:
        rows = walk_one_by_one(files)
    assert [(row.name, row.size) for row in rows] == [(b"long", 5 << 30), (b"last", 1)]


def test_checksums_of_any_bytes_are_compared():
    block = header("x")
    block[265:500] = b"\xff" * 235
    for end in (100, 257):  # The name, and all up to the magic: a large sum of bytes.
        block[1:end] = b"\xff" * (end - 1)
        good = bytearray(sealed(block))
        assert has_checksum(bytes(good))
        good[50] ^= 1
        assert not has_checksum(bytes(good))


def test_only_regular_files_are_listed_and_links_are_counted():
    kinds = [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
    members = [Entry("first", b"1"), *(Entry("x", type=kind) for kind in kinds)]
    data = make_tar([*members, Entry("last", b"2")], tarfile.GNU_FORMAT)
    assert [row[0] for row in walked(data)] == [b"first", b"last"]
    with opened(data) as files:
        (walk,) = walk_tars(files, [whole(files)])
    assert walk.num_links == 2
    assert walk.zeros_at == len(data) - 2 * BLOCK


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
    _, offset, size = members[-1]
    for end in {offset + size, offset + -(-size // BLOCK) * BLOCK}:
        assert walked(data[:end]) == members


# A long tar is walked in pieces. Where a piece starts, a member's data may look like
# headers too.


def _outcome(walk, *arguments) -> list[TarMember] | str:
    try:
        return walk(*arguments)
    except ArchiveError as error:
        return error.problem


@st.composite
def tars_with_tars(draw: st.DrawFn) -> bytes:
    """Tars of many members, some of which contain a tar's bytes, or the end of one.

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
        members = [
            Entry(f"member {number}", content, pax_headers=own_headers)
            for number, (content, own_headers) in enumerate(rows_drawn)
        ]
        tar = make_tar(members, tar_format, **options)
        stretches.append(tar.removesuffix(END_OF_ARCHIVE))
    return b"".join(stretches) + END_OF_ARCHIVE


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Tars with bytes overwritten, and the rest of another one after them."""
    data = bytearray(draw(tars_with_tars()) + draw(tars_with_tars()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        overwrite = draw(st.binary(min_size=1, max_size=600) | st.just(bytes(BLOCK)))
        data[at : at + len(overwrite)] = overwrite
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


@settings(max_examples=150)
@given(
    tars_with_tars() | damaged(),
    st.sampled_from([0, 1, BLOCK, 3 * BLOCK, 8 * BLOCK]),
    st.integers(1, 4),
    st.sampled_from([2, 3, 5, 256]),
)
def test_walking_in_pieces_changes_nothing(data, beginning, members, num_walks):
    with opened(data) as files:
        expected = _outcome(walk_one_by_one, files)
        files.in_step = num_walks
        walks = _outcome(walk_in_pieces, files, beginning, members)
    assert (walks if isinstance(walks, str) else as_rows(*walks)) == expected


@pytest.mark.parametrize("size", [300, 70_000, 900_000])
def test_a_long_tar_is_walked_in_pieces(tmp_path, size, monkeypatch):
    monkeypatch.setattr(in_step, "_REPORT_SECONDS", 0)
    # The next header can be far behind the place where a piece is to start.
    path = tmp_path / "archive.tar"
    sparse_tar(path, 400, size)
    steps: list[int] = []
    with Files(find_files([str(path)])) as files:
        walks = walk_in_pieces(files, 10 * size, 10, on_progress=steps.append)
    assert [row.name for row in as_rows(*walks)] == [
        b"n01440764_%d.JPEG" % number for number in range(400)
    ]
    assert len(walks) > 30
    assert max(len(walk.members.names) for walk in walks) < 30
    assert sum(steps) == path.stat().st_size
    assert max(steps) < sum(steps) / 2


HEADER = sealed(header("n01440764_1.JPEG"))


@pytest.mark.parametrize("before", [0, 1, 127, 128, 129, 1000, 2047])
@pytest.mark.parametrize("start", [0, BLOCK, 3 * BLOCK])
def test_the_next_header_is_found_up_to_a_megabyte_away(before, start):
    data = HEADER * (start // BLOCK) + bytes(before * BLOCK) + HEADER + b"\xff" * BLOCK
    with opened(data) as files:
        found = find_headers(files, whole(files), [start])
    assert found == {start + before * BLOCK}


def test_a_header_further_away_or_past_the_end_is_not_found():
    with opened(bytes(2048 * BLOCK) + HEADER) as files:
        assert not find_headers(files, whole(files), [0])
        assert find_headers(files, whole(files), [BLOCK]) == {2048 * BLOCK}
        for rest in (0, 1, BLOCK - 1):
            tar = Tar("short", 0, 0, 2048 * BLOCK + rest)
            assert not find_headers(files, tar, [2000 * BLOCK])


# Tars of tars.


def _inner(number: int, length: int) -> bytes:
    members = [Entry(f"{number}/{i}", bytes([i]) * (i * 99)) for i in range(length)]
    return make_tar(members, tarfile.GNU_FORMAT)


@pytest.mark.parametrize("num_walks", [1, 2, 3, 256])
@pytest.mark.parametrize("first", ["1.tar", "README"])
def test_members_come_in_file_order_and_progress_adds_up(num_walks, first):
    lengths = [9, 0, 3, 1, 30, 0, 2]
    members = [
        Entry(first, _inner(99, 2)),
        *(Entry(f"{n}.tar", _inner(n, length)) for n, length in enumerate(lengths)),
        Entry("empty.tar"),
        Entry("LICENSE", b"x" * 700),
        Entry("last.tar", _inner(100, 1)),
    ]
    data = make_tar(members, tarfile.PAX_FORMAT)
    steps: list[int] = []
    with opened(data) as files:
        files.in_step = num_walks
        walks = walk_nested(files, whole(files), is_tar, steps.append)
    assert sum(steps) == len(data)
    found = [[name.decode() for name in walk.members.names] for walk in walks]
    inner = [[f"{n}/{i}" for i in range(length)] for n, length in enumerate(lengths)]
    outer = [["LICENSE"], ["99/0", "99/1"]]
    if first == "README":
        outer = [["README", "LICENSE"]]
    assert found == [*outer, *inner, [], ["100/0"]]
    for name, offset, size, _ in as_rows(*walks):
        if b"/" in name:
            number = int(name.rpartition(b"/")[2])
            assert data[offset : offset + size] == bytes([number]) * (number * 99)


def test_tars_in_a_tar_are_walked_in_step():
    data = make_tar([Entry(f"{n}.tar", _inner(n, 30)) for n in range(3)], 1)
    with (
        opened(data) as files,
        mock.patch.object(files, "read", wraps=files.read) as read,
    ):
        walk_nested(files, whole(files), is_tar)
    reads = [call.args[1] for call in read.mock_calls]
    # One after the other would read each of them in one ascending run.
    assert reads != sorted(reads)
    assert sorted(reads) == sorted(set(reads))


@settings(max_examples=100)
@given(
    nested_tars(),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=9))),
    st.sampled_from([0, 1, BLOCK, 4 * BLOCK]),
    st.sampled_from([2, 3, 256]),
)
def test_how_much_is_walked_first_changes_nothing(made, damage, beginning, num_walks):
    data = bytearray(made[1])
    for at, there in damage:
        data[at % len(data) : at % len(data) + len(there)] = there
    with opened(bytes(data)) as files:

        def rows(num_walks: int) -> list[TarMember]:
            files.in_step = num_walks
            return as_rows(*walk_in_pieces(files, beginning, 2, is_tar))

        in_steps = right_or_an_error(num_walks, rows)
        assert in_steps == right_or_an_error(1, rows)


def test_tars_after_a_long_file_are_found(tmp_path):
    # The beginning, which decides how to walk the rest, contains no tar.
    path = tmp_path / "archive.tar"
    with path.open("wb") as output:
        output.write(sealed(header("README", 9 << 20)))
        output.seek(BLOCK + (9 << 20))
        output.write(make_tar([Entry("7.tar", _inner(7, 5)), Entry("8.tar")], 1))
    steps: list[int] = []
    with Files(find_files([str(path)])) as files:
        walks = walk_nested(files, whole(files), is_tar, steps.append)
        flat = walk_nested(files, whole(files), no_tar)
    names = [b"README", *(b"7/%d" % i for i in range(5))]
    assert [row.name for row in as_rows(*walks)] == names
    assert [row.name for row in as_rows(*flat)] == [b"README", b"7.tar", b"8.tar"]
    assert sum(steps) == path.stat().st_size
