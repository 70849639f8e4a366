"""Damage in a tar, and forged headers, give an error or what `tarfile` reads.

A change of one byte of a header spoils its checksum. So it gives an error or, in a byte
that does not count, changes nothing.
"""

import contextlib
import tarfile
import tracemalloc
from unittest import mock

import pytest
from hypothesis import given, settings, strategies as st

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.files import Files
from imagenet2012_subset.storage.open import find_files
from imagenet2012_subset.tar.headers import BLOCK
from tests.shared.tars import (
    END_OF_ARCHIVE,
    Entry,
    by_tarfile,
    header,
    make_tar,
    right_or_an_error,
    sealed,
    tars,
    walk_one_by_one,
    walked,
)

pytestmark = pytest.mark.usefixtures("platform")


def _sparse_of_gnu() -> bytes:
    block = header("holes", BLOCK, tarfile.GNUTYPE_SPARSE)
    block[386:410] = b"%011o\0%011o\0" % (0, BLOCK)  # One extent of data ...
    block[483:495] = b"%011o\0" % (1 << 20)  # ... in a megabyte.
    return sealed(block) + bytes(BLOCK)


def _sparse_of_pax(headers: dict[str, str], data: bytes) -> bytes:
    return make_tar([Entry("holes", data, pax_headers=headers)], tarfile.PAX_FORMAT)


SPARSE = {
    "gnu": _sparse_of_gnu(),
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


@settings(max_examples=100)
@given(tars(max_size=4), st.data())
def test_a_changed_byte_gives_an_error_or_what_tarfile_reads(data, draw):
    end = by_tarfile(data)[-1][1] if by_tarfile(data) else BLOCK
    at = draw.draw(st.integers(0, min(end + BLOCK, len(data)) - 1))
    damaged = bytearray(data)
    damaged[at] = draw.draw(st.integers(0, 255))
    found = right_or_an_error(bytes(damaged), walked)
    if found is not None:
        assert found == by_tarfile(bytes(damaged))


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


@settings(max_examples=120)
@given(resealed())
def test_forged_headers_give_an_error_or_what_tarfile_reads(data):
    found = right_or_an_error(data, walked)
    if found is not None:
        with contextlib.suppress(tarfile.ReadError, OverflowError):
            assert found == by_tarfile(data)


@pytest.mark.parametrize("size", [2**63 - BLOCK, 2**64, 2**87])
def test_a_member_of_unknown_type_and_absurd_size_ends_the_tar(size):
    data = sealed(header("x", size, b"Z")) + END_OF_ARCHIVE
    assert not right_or_an_error(data, walked)


def _with_size(field: bytes) -> bytes:
    block = header("n01440764_1.JPEG")
    block[124:136] = field
    return sealed(block) + bytes(BLOCK)


_LONG_NAME = sealed(header("././@LongLink", 4, tarfile.GNUTYPE_LONGNAME))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_with_size(b"00000000009\0"), "no valid tar header at byte 0"),
        (_with_size(tarfile.itn(-BLOCK, 12, tarfile.GNU_FORMAT)), "byte"),
        (_with_size(tarfile.itn(2**63, 12, tarfile.GNU_FORMAT)), "byte"),
        (_with_size(b"00000023420\0"), r"n01440764_1\.JPEG takes 10,000 bytes"),
        ((_LONG_NAME + b"name".ljust(BLOCK, b"\0")) * 3000, "no valid tar header"),
    ],
    ids=["not octal", "negative", "absurd", "past the archive", "endless"],
)
def test_an_impossible_header_is_an_error(data, problem):
    with pytest.raises(ArchiveError, match=problem):
        walked(data + END_OF_ARCHIVE)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"X"])
@pytest.mark.parametrize("size", [8 << 30, (8 << 30) - 1, (64 << 10) + 1])
def test_an_extension_header_with_a_forged_size_takes_no_memory(tmp_path, kind, size):
    path = tmp_path / "archive.tar"
    with path.open("wb") as output:
        output.write(sealed(header("././@LongLink", size, kind)))
        output.truncate(9 << 30)  # Holes: no disk space is taken.
    files = Files(find_files([str(path)]))
    tracemalloc.start()
    try:
        with (
            mock.patch.object(files, "read", wraps=files.read) as read,
            pytest.raises(ArchiveError, match=r"extension header of [\d,]+ bytes"),
        ):
            walk_one_by_one(files)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    assert max(call.args[2] for call in read.mock_calls) <= 64 << 10


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_an_empty_extension_header_is_read_as_tarfile_reads_it(kind):
    member = make_tar([Entry("n01440764_1.JPEG", b"data")], tarfile.GNU_FORMAT)
    data = sealed(header("././@LongLink", 0, kind)) + member
    assert walked(data) == by_tarfile(data)


@pytest.mark.parametrize("length", [(64 << 10) - BLOCK, (64 << 10) - 1])
def test_an_extension_header_of_up_to_64_kib_is_read(length):
    data = make_tar([Entry("x" * length, b"data")], tarfile.GNU_FORMAT)
    assert walked(data) == by_tarfile(data)
