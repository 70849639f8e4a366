"""The quick walk of a tar against the standard library's `tarfile`."""

from __future__ import annotations

import contextlib
import io
import itertools
import pathlib
import tarfile
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from etils import epath
from hypothesis import assume, given, settings, strategies as st

from imagenet2012_subset import block_reads
from imagenet2012_subset.archive_file import ArchiveFile, LocalFile, PortableFile
from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.locate import Located, locate
from imagenet2012_subset.tar_headers import BLOCK
from imagenet2012_subset.tar_part import Tar, TarMembers
from imagenet2012_subset.tar_walk import walk
from tests import archives

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}
END_OF_ARCHIVE = bytes(2 * BLOCK)

any_format = st.sampled_from(list(FORMATS.values()))
quickly = settings(deadline=None, max_examples=60)


class Entry(NamedTuple):
    """A member to put into a tar."""

    name: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    uid: int = 0
    pax_headers: dict[str, str] = {}


def make_tar(entries: Sequence[Entry], tar_format: int, **options: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream, mode="w", format=tar_format, errors="surrogateescape", **options
    ) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.type, member.uid = entry.type, entry.uid
            member.pax_headers = dict(entry.pax_headers)
            if member.islnk() or member.issym():
                member.linkname = entries[0].name
            member.size = len(entry.data) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(entry.data))
        end = stream.tell()
    # `tarfile` pads to 10 KiB, which small tests need not carry along.
    return stream.getvalue()[:end] + END_OF_ARCHIVE


def sealed(header: bytearray) -> bytes:
    """Returns a header block with the checksum that its other bytes make."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytearray:
    """Returns one header block; a size of 8 GiB or more, or below 0, is binary."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return bytearray(member.tobuf(tarfile.GNU_FORMAT)[-BLOCK:])


def by_tarfile(data: bytes) -> list[tuple[bytes, int, int]]:
    """Returns (name, offset, size) of each regular file, as `tarfile` has it."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return [
            (m.name.encode("utf-8", "surrogateescape"), m.offset_data, m.size)
            for m in tar
            if m.isreg()
        ]


@contextlib.contextmanager
def opened(
    data: bytes, file_class: Callable[[epath.Path], ArchiveFile] = LocalFile
) -> Iterator[ArchiveFile]:
    with tempfile.TemporaryDirectory() as folder:
        path = epath.Path(folder) / "archive.tar"
        path.write_bytes(data)
        yield file_class(path)


class TarMember(NamedTuple):
    """A row of `TarMembers`."""

    name: bytes
    offset: int
    size: int
    header_crc: int


def as_rows(members: TarMembers) -> list[TarMember]:
    return [TarMember(*row) for row in zip(*members, strict=True)]


def walk_one(data: bytes) -> list[TarMember]:
    with opened(data) as file:
        ((_, members),) = walk(file, [Tar("the tar", 0, file.size)])
        return as_rows(members)


def walked(data: bytes) -> list[tuple[bytes, int, int]]:
    return [member[:3] for member in walk_one(data)]


def located(data: bytes, **options: object) -> Located:
    with opened(data) as file:
        return locate(file, **options)


def rows(found: Located) -> list[tuple[object, ...]]:
    columns = found.images
    return [columns[i] for i in range(len(columns))]


# Names: short ones, whose header is plain, and all that needs more than 100 bytes or
# more than ASCII, in the form of paths that ustar can split.
letters = st.text("abcXYZ019_-. ", min_size=1, max_size=12)
beyond_ascii = st.text(
    st.characters(min_codepoint=1, exclude_characters="/", codec="utf-8"), max_size=12
)
not_unicode = st.binary(min_size=1, max_size=8).map(
    lambda raw: raw.translate(None, b"\0/").decode("utf-8", "surrogateescape")
)
part = letters | beyond_ascii | not_unicode | st.just("long" * 12)
names = st.builds(
    lambda folders, last: "/".join([*folders, last or "x"]),
    st.lists(part | st.just("folder" * 9), max_size=8),
    part,
)
kinds = st.sampled_from(
    [tarfile.REGTYPE] * 8
    + [tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE]
    + [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
contents = st.binary(max_size=40) | st.integers(0, 3 * BLOCK).map(lambda n: b"\xff" * n)
users = st.sampled_from([0, 1000, 8**7, 2**40])


def _entry(row: tuple[str, bytes, bytes, int]) -> Entry:
    name, data, kind, uid = row
    if kind == tarfile.AREGTYPE:
        # A header of type NUL whose name ends in a slash, be it because the name is
        # cut off there, `tarfile` takes for a directory.
        name = name.replace("/", "")[:20] or "x"
    return Entry(name, data, kind, uid)


entries = st.tuples(names, contents, kinds, users).map(_entry)


def files(names: st.SearchStrategy[str]) -> st.SearchStrategy[Entry]:
    return st.tuples(names, contents).map(lambda row: Entry(*row))


@st.composite
def tars(draw: st.DrawFn, max_size: int = 6) -> bytes:
    """A tar of any format; what the format cannot express is left out."""
    tar_format = draw(any_format)
    kept: list[Entry] = []
    for entry in draw(st.lists(entries, max_size=max_size)):
        with contextlib.suppress(ValueError):  # Too long or too big for ustar.
            make_tar([*kept, entry], tar_format)
            kept.append(entry)
    return make_tar(kept, tar_format)


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
        results = [
            dict(walk(file, tars_walked, in_flight=in_flight))
            for in_flight in (1, 2, 256)
        ]
    assert results[0] == results[1] == results[2]
    for part, tar in zip(parts, where, strict=True):
        members = as_rows(results[0][tar])
        assert [(m.name, m.offset - tar.start, m.size) for m in members] == (
            by_tarfile(part)
        )


# A tar that is walked in parts gives what the walk from header to header gives: members
# or error. Where a part is begun, a member's data may look like headers as well.
numbers_in_flight = st.sampled_from([2, 3, 5, 256])
members_a_part = st.integers(1, 4)


def _outcome(data: bytes, **options: int) -> list[TarMember] | str:
    with opened(data) as file:
        try:
            ((_, members),) = walk(file, [Tar("the tar", 0, file.size)], **options)
        except ArchiveError as error:
            return error.problem
    return as_rows(members)


@st.composite
def tars_with_tars(draw: st.DrawFn) -> bytes:
    """Tars of many members, some of which hold a tar's bytes, or the end of one."""
    data = st.binary(max_size=1500) | tars(max_size=3)
    entries = [
        Entry(f"member {number}", content, pax_headers=headers)
        for number, (content, headers) in enumerate(
            draw(
                st.lists(
                    st.tuples(data, st.sampled_from([{}, {}, {"comment": "x"}])),
                    max_size=20,
                )
            )
        )
    ]
    tar_format = draw(any_format)
    global_headers = draw(st.sampled_from([{}, {"comment": "of all"}]))
    options = {"pax_headers": global_headers} if tar_format == FORMATS["pax"] else {}
    return make_tar(entries, tar_format, **options)


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
@given(tars_with_tars() | damaged(), numbers_in_flight, members_a_part)
def test_walking_in_parts_changes_nothing(data, in_flight, members):
    in_parts = _outcome(data, in_flight=in_flight, members_a_part=members)
    assert in_parts == _outcome(data, in_flight=1)


@settings(deadline=None, max_examples=100)
@given(tars_with_tars() | damaged(), numbers_in_flight, members_a_part)
def test_direct_reads_change_nothing(data, in_flight, members):
    with mock.patch.object(block_reads, "_WORTH_A_SET_UP", 1):
        directly = _outcome(data, in_flight=in_flight, members_a_part=members)
    assert directly == _outcome(data, in_flight=1)


@quickly
@given(tars_with_tars() | damaged(), numbers_in_flight, members_a_part)
def test_progress_of_parts_adds_up_to_the_tar(data, in_flight, members):
    steps: list[int] = []
    with opened(data) as file, contextlib.suppress(ArchiveError):
        tar = Tar("the tar", 0, file.size)
        options = {"in_flight": in_flight, "members_a_part": members}
        for _ in walk(file, [tar], **options, on_progress=steps.append):
            assert sum(steps) == len(data)


class _CountingFile(LocalFile):
    """Counts the reads that had to wait for those before them."""

    rounds = 0

    def direct_reads(self, capacity, size):
        return None

    def read_each(self, buffers, offsets):
        self.rounds += 1
        super().read_each(buffers, offsets)


def test_a_long_tar_takes_a_fraction_of_the_reads_after_each_other():
    entries = [Entry(f"n01440764_{i}.JPEG", bytes(i % 1500)) for i in range(2000)]
    data = make_tar(entries, tarfile.GNU_FORMAT)
    with opened(data, _CountingFile) as file:
        tar = Tar("the tar", 0, file.size)
        ((_, members),) = walk(file, [tar], in_flight=32, members_a_part=50)
        assert isinstance(file, _CountingFile)
        assert file.rounds < 2 * len(entries) / 10
    assert [row[:3] for row in as_rows(members)] == by_tarfile(data)


# What locate finds, by construction: each image's bytes must lie where it says.
image_names = st.builds(
    "n{:08d}_{}.JPEG".format, st.integers(0, 10**8 - 1), st.integers(0, 10**10 - 1)
) | st.builds("ILSVRC2012_val_{:08d}.JPEG".format, st.integers(0, 10**8 - 1))
folders = st.sampled_from(["", "./", "train/n01440764/", "ünï/", "folder/" * 30])
foreign_names = st.sampled_from(
    [
        "README",
        ".DS_Store",
        "._n01440764.tar",
        "._n01440764_1.JPEG",
        "x_n01440764_1.JPEG",
        "n01440764_1.JPEG\n",
        "n01440764_1.JPEG.txt",
        "n01440764_1.jpeg",
    ]
)


@st.composite
def flat_tars(draw: st.DrawFn) -> tuple[list[Entry], bytes, int]:
    """Images and other files; the images, the tar, the number of the others."""
    tar_format = draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    images = draw(st.lists(files(image_names), max_size=4))
    others = draw(st.lists(files(foreign_names), max_size=2))
    mixed = draw(st.permutations([*images, *others]))
    images = [entry for entry in mixed if entry not in others]
    in_folders = [e._replace(name=draw(folders) + e.name) for e in mixed]
    return images, make_tar(in_folders, tar_format), len(others)


@st.composite
def nested_tars(draw: st.DrawFn) -> tuple[list[Entry], bytes, int]:
    """The same, some directly in the archive and some in tars inside it."""
    images: list[Entry] = []
    entries: list[Entry] = []
    num_others = 0
    for number in range(draw(st.integers(0, 4))):
        inner_images, inner, inner_others = draw(flat_tars())
        images += inner_images
        num_others += inner_others
        entries.append(Entry(f"{draw(folders)}n{number:08d}.tar", inner))
    direct = draw(st.lists(files(image_names), max_size=2))
    for entry in reversed(direct):
        entries.insert(draw(st.integers(0, len(entries))), entry)
        entries.sort(key=lambda e: direct.index(e) if e in direct else -1)
    return direct + images, make_tar(entries, draw(any_format_with_room)), num_others


any_format_with_room = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def _named_bytes(found: Located, data: bytes) -> list[tuple[str, bytes]]:
    return [
        (image.name, data[image.offset : image.offset + image.size])
        for image in (found.images[i] for i in range(len(found.images)))
    ]


@quickly
@given(nested_tars())
def test_locates_each_image_in_nested_tars_where_its_bytes_are(made):
    images, data, num_others = made
    found = located(data)
    assert _named_bytes(found, data) == [(e.name, e.data) for e in images]
    assert found.num_others == num_others
    assert len(found.others) == min(num_others, 5)


@quickly
@given(nested_tars())
def test_a_portable_file_gives_what_a_local_file_gives(made):
    _, data, _ = made
    with opened(data, PortableFile) as file:
        portable = locate(file)
    local = located(data)
    assert rows(portable) == rows(local)
    assert portable.num_others == local.num_others
    assert portable.others == local.others


@quickly
@given(nested_tars(), st.sampled_from([1, 2, 256]))
def test_progress_adds_up_to_the_archive(made, in_flight):
    _, data, _ = made
    steps: list[int] = []
    located(data, in_flight=in_flight, on_progress=steps.append)
    assert sum(steps) == len(data)


def test_images_without_a_tar_around_them_are_located():
    files = [(archives.validation_name(i), archives.jpeg(i)) for i in (3, 1, 2)]
    data = archives.tar_bytes(files)
    assert _named_bytes(located(data), data) == files


def test_only_the_first_foreign_files_are_named():
    data = archives.tar_bytes([(f"folder/{i}.txt", b"") for i in range(9)])
    found = located(data)
    assert found.num_others == 9
    assert found.others == tuple(f"folder/{i}.txt" for i in range(5))


def test_a_foreign_file_called_tar_that_is_none_is_an_error():
    with pytest.raises(ArchiveError, match="no valid tar header"):
        located(archives.tar_bytes([("n01440764.tar", b"<html>" * 200)]))


def _sparse_of_gnu() -> bytes:
    block = header("holes", BLOCK, tarfile.GNUTYPE_SPARSE)
    block[386:410] = b"%011o\0%011o\0" % (0, BLOCK)  # One extent of data ...
    block[483:495] = b"%011o\0" % (1 << 20)  # ... in a megabyte.
    return sealed(block) + bytes(BLOCK)


def _sparse_of_pax(headers: dict[str, str], data: bytes) -> bytes:
    return make_tar([Entry("holes", data, pax_headers=headers)], tarfile.PAX_FORMAT)


SPARSE = {
    "gnu": _sparse_of_gnu(),
    "pax 0.0": _sparse_of_pax(
        {
            "GNU.sparse.size": "1048576",
            "GNU.sparse.numblocks": "1",
            "GNU.sparse.offset": "0",
            "GNU.sparse.numbytes": "512",
        },
        bytes(BLOCK),
    ),
    "pax 0.1": _sparse_of_pax(
        {"GNU.sparse.size": "1048576", "GNU.sparse.map": "0,512"}, bytes(BLOCK)
    ),
    "pax 1.0": _sparse_of_pax(
        {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "holes",
            "GNU.sparse.realsize": "1048576",
        },
        b"1\n0\n512\n".ljust(BLOCK, b"\0") + bytes(BLOCK),
    ),
}


@pytest.mark.parametrize("sparse", SPARSE.values(), ids=SPARSE)
def test_a_sparse_member_is_an_error_that_says_so(sparse):
    before = make_tar([Entry("n01440764_1.JPEG", b"x")], tarfile.GNU_FORMAT)
    with pytest.raises(ArchiveError, match=r"holes .* is a GNU sparse member"):
        walked(before[: 2 * BLOCK] + sparse + END_OF_ARCHIVE)


# Damage. Any change of one byte of a header spoils its checksum, so all that can come
# of it is an error or, in a byte that does not count, what tarfile reads as well.


def _right_or_an_error(data: bytes, act: Callable[[bytes], object]) -> object:
    try:
        return act(data)
    except ArchiveError:
        return None


@settings(deadline=None, max_examples=150)
@given(tars(max_size=4), st.data())
def test_a_changed_byte_gives_an_error_or_what_tarfile_reads(data, draw):
    end = by_tarfile(data)[-1][1] if by_tarfile(data) else BLOCK
    at = draw.draw(st.integers(0, min(end + BLOCK, len(data)) - 1))
    damaged = bytearray(data)
    damaged[at] = draw.draw(st.integers(0, 255))
    found = _right_or_an_error(bytes(damaged), walked)
    if found is not None:
        assert found == by_tarfile(bytes(damaged))


@settings(deadline=None, max_examples=150)
@given(nested_tars(), st.data())
def test_a_cut_gives_an_error_or_the_images_before_it(made, draw):
    images, data, _ = made
    length = draw.draw(st.integers(0, len(data)))
    found = _right_or_an_error(data[:length], located)
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
    found = _right_or_an_error(bytes(damaged), located)
    if found is not None:
        images = found.images
        assert np.all(images.sizes >= 0)
        assert np.all(images.offsets >= BLOCK)
        assert np.all(images.offsets + images.sizes <= len(damaged))


@st.composite
def resealed(draw: st.DrawFn) -> bytes:
    """A tar with changed headers whose checksums are right again."""
    data = bytearray(draw(tars(max_size=3)))
    for _ in range(draw(st.integers(1, 3))):
        at = BLOCK * draw(st.integers(0, min(8, len(data) // BLOCK - 1)))
        block = data[at : at + BLOCK]
        field = draw(st.sampled_from([(0, 100), (124, 12), (156, 1), (345, 155)]))
        fill = draw(
            st.binary(max_size=field[1])
            | st.sampled_from([b"\x80", b"\xff" * 12, b"\x80" + b"\xff" * 11])
            | st.sampled_from([b"LKxgXS\0123457ADMNVZ"[i : i + 1] for i in range(18)])
        )
        block[field[0] : field[0] + len(fill)] = fill
        data[at : at + BLOCK] = sealed(block)
    return bytes(data)


@settings(deadline=None, max_examples=200)
@given(resealed())
def test_lies_in_headers_give_an_error_or_what_tarfile_reads(data):
    found = _right_or_an_error(data, walked)
    if found is not None:
        with contextlib.suppress(tarfile.ReadError, OverflowError):
            assert found == by_tarfile(data)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=2000) | st.binary(min_size=BLOCK, max_size=BLOCK))
def test_random_bytes_give_an_error_or_nothing(data):
    found = _right_or_an_error(data, located)
    assert found is None or not len(found.images)


@pytest.mark.parametrize("size", [2**63 - BLOCK, 2**64, 2**87])
def test_a_member_of_unknown_type_and_absurd_size_ends_the_tar(size):
    data = sealed(header("x", size, b"Z")) + END_OF_ARCHIVE
    assert not _right_or_an_error(data, walked)


def test_a_size_that_is_not_octal_is_an_error():
    block = header("n01440764_1.JPEG", 9)
    block[124:136] = b"00000000009\0"
    with pytest.raises(ArchiveError, match="no valid tar header at byte 0"):
        walked(sealed(block) + bytes(BLOCK) + END_OF_ARCHIVE)


def test_a_negative_size_is_an_error():
    data = sealed(header("n01440764_1.JPEG", -BLOCK)) + END_OF_ARCHIVE
    with pytest.raises(ArchiveError):
        walked(data)


def test_a_member_that_reaches_past_the_archive_is_an_error_that_names_it():
    data = sealed(header("n01440764_1.JPEG", 10_000)) + END_OF_ARCHIVE
    with pytest.raises(ArchiveError, match=r"cut off.*n01440764_1\.JPEG takes 10,000"):
        walked(data)


def test_a_member_that_reaches_past_its_inner_tar_is_an_error():
    inner = sealed(header("n01440764_1.JPEG", 2 * BLOCK)) + bytes(BLOCK)
    data = archives.tar_bytes([("n01440764.tar", inner), ("other", bytes(9 * BLOCK))])
    with pytest.raises(ArchiveError, match=r"n01440764\.tar ends at byte 1,536"):
        located(data)


def test_what_macos_puts_beside_a_tar_is_no_tar():
    inner = archives.tar_bytes([("n01440764_1.JPEG", b"x")])
    beside = b"\0\x05\x16\x07" + b"Mac OS X".ljust(600)
    data = archives.tar_bytes([("./._n01440764.tar", beside), ("n01440764.tar", inner)])
    found = located(data)
    assert found.others == ("./._n01440764.tar",)
    assert _named_bytes(found, data) == [("n01440764_1.JPEG", b"x")]


@pytest.mark.parametrize("after", ["n01440764_1.JPEG", "folder/" * 40 + "README"])
def test_an_empty_file_called_tar_holds_nothing(after):
    data = archives.tar_bytes([("empty.tar", b""), (after, b"x"), ("empty2.tar", b"")])
    assert len(located(data).images) + located(data).num_others == 1


def test_an_inner_tar_without_room_for_a_header_is_an_error():
    data = archives.tar_bytes([("short.tar", b"x" * 100), ("next", b"")])
    with pytest.raises(ArchiveError):
        located(data)


def test_endless_extension_headers_are_an_error():
    long_name = sealed(header("././@LongLink", 4, tarfile.GNUTYPE_LONGNAME))
    data = (long_name + b"name".ljust(BLOCK, b"\0")) * 3000
    with pytest.raises(ArchiveError):
        walked(data)


class _WatchedFile(LocalFile):
    """Knows the longest read that was asked of it."""

    longest = 0

    def read(self, offset: int, size: int) -> bytes:
        self.longest = max(self.longest, size)
        return super().read(offset, size)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"X"])
@pytest.mark.parametrize("size", [8 << 30, (8 << 30) - 1, 1 << 20])
def test_an_extension_header_that_lies_about_its_size_takes_no_memory(
    tmp_path: pathlib.Path, kind, size
):
    path = tmp_path / "archive.tar"
    with path.open("wb") as output:
        output.write(sealed(header("././@LongLink", size, kind)))
        output.truncate(9 << 30)  # Holes: no disk space is taken.
    file = _WatchedFile(epath.Path(path))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="extension header of"):
            locate(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    assert file.longest <= 1 << 16
