"""Tars of any shape for tests, and what the standard library finds in them."""

from __future__ import annotations

import contextlib
import io
import pathlib
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar
from unittest import mock

from hypothesis import strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.files import Files
from imagenet2012_subset.storage.open import find_files
from imagenet2012_subset.tar import walk as walk_module
from imagenet2012_subset.tar.headers import BLOCK, Tar
from imagenet2012_subset.tar.walk import TarWalk, walk_nested, walk_tars

S = TypeVar("S")
T = TypeVar("T")

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}
END_OF_ARCHIVE = bytes(2 * BLOCK)


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


def each_by_tarfile(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields (name, offset, size) of each regular file that `tarfile` finds."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for m in tar:
            if m.isreg():
                name = m.name.encode("utf-8", "surrogateescape")
                yield name, m.offset_data, m.size


def by_tarfile(data: bytes) -> list[tuple[bytes, int, int]]:
    return [*each_by_tarfile(data)]


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[Files]:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "archive.tar"
        path.write_bytes(data)
        with Files(find_files([str(path)])) as files:
            yield files


def sparse_tar(path: pathlib.Path, num_members: int, size: int) -> None:
    """Writes a tar of images that are nothing but holes, so that it takes no disk."""
    step = BLOCK + -(-size // BLOCK) * BLOCK
    with path.open("wb") as output:
        for number in range(num_members):
            output.seek(number * step)
            output.write(sealed(header(f"n01440764_{number}.JPEG", size)))
        output.truncate(num_members * step + len(END_OF_ARCHIVE))


class TarMember(NamedTuple):
    """A row of `Members`."""

    name: bytes
    offset: int
    size: int
    header_crc: int


def as_rows(*walks: TarWalk) -> list[TarMember]:
    return [
        TarMember(*row) for walk in walks for row in zip(*walk.members, strict=True)
    ]


def whole(files: Files) -> Tar:
    return Tar("the tar", 0, 0, files.size(0))


def walk_one_by_one(files: Files) -> list[TarMember]:
    """Walks from header to header, one after the other."""
    return as_rows(*walk_tars(files, [whole(files)]))


def is_tar(name: bytes) -> bool:
    return name.endswith(b".tar")


def no_tar(name: bytes) -> bool:
    return False


def walk_in_pieces(
    files: Files,
    beginning_bytes: int = 1,
    members_a_piece: int = 2,
    is_tar: Callable[[bytes], bool] = no_tar,
    **options: Callable[[int], object],
) -> list[TarWalk]:
    """Walks from many places at once, after the first bytes."""
    with mock.patch.multiple(
        walk_module,
        _BEGINNING_BYTES=beginning_bytes,
        _MEMBERS_A_PIECE=members_a_piece,
    ):
        return walk_nested(files, whole(files), is_tar, **options)


def walk_one(data: bytes) -> list[TarMember]:
    """Returns what both ways of walking a tar find."""
    with opened(data) as files:
        members = walk_one_by_one(files)
        assert as_rows(*walk_in_pieces(files)) == members
        return members


def walked(data: bytes) -> list[tuple[bytes, int, int]]:
    return [member[:3] for member in walk_one(data)]


def right_or_an_error(argument: S, act: Callable[[S], T]) -> T | None:
    try:
        return act(argument)
    except ArchiveError:
        return None


# Names: short ones, whose header is plain, and all that needs more than 100 bytes or
# more than ASCII, in the form of paths that ustar can split.
any_format = st.sampled_from(list(FORMATS.values()))
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


# A tar of images, by construction: each image's bytes must lie where it is found.
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
any_format_with_room = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@st.composite
def flat_tars(draw: st.DrawFn) -> tuple[list[Entry], bytes, int]:
    """Images and other files; the images, the tar, the number of the others."""
    tar_format = draw(any_format_with_room)
    images = draw(st.lists(files(image_names), max_size=4))
    others = draw(st.lists(files(foreign_names), max_size=2))
    mixed = draw(st.permutations([*images, *others]))
    images = [entry for entry in mixed if entry not in others]
    in_folders = [e._replace(name=draw(folders) + e.name) for e in mixed]
    return images, make_tar(in_folders, tar_format), len(others)


@st.composite
def nested_tars(draw: st.DrawFn) -> tuple[list[Entry], bytes, int]:
    """The same, some directly in the archive and some in tars inside it."""
    direct: list[Entry] = []
    nested: list[Entry] = []
    entries: list[Entry] = []
    num_others = 0
    for number in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            direct.append(draw(files(image_names)))
            entries.append(direct[-1])
        else:
            images, inner, inner_others = draw(flat_tars())
            nested += images
            num_others += inner_others
            entries.append(Entry(f"{draw(folders)}n{number:08d}.tar", inner))
    return direct + nested, make_tar(entries, draw(any_format_with_room)), num_others
