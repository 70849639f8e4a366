"""Parses plain tar headers itself, and all others with `tarfile`."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from imagenet2012_subset.errors import SEE_DAMAGE, ArchiveError
from imagenet2012_subset.storage.files import Files

BLOCK = tarfile.BLOCKSIZE  # Headers and data start at multiples of 512 bytes.
ZERO_BLOCK = bytes(BLOCK)

# A header contains the length of a long name or a pax header. If it exceeds this, the
# header is damaged, and the name must not be read into memory.
_MAX_EXTENSION_BYTES = 64 << 10

# Fields of a header, as POSIX.1-1988 (ustar) defines them.
_NAME = slice(0, 100)
_SIZE_DIGITS = slice(124, 135)
_SIZE_END = 135
_CHECKSUM = slice(148, 156)
_CHECKSUM_DIGITS = 6
_TYPE = 156
_REGULAR_FILE = ord("0")
_MAGIC = slice(257, 262)
_PREFIX = 345
_NUMBER_ENDS = b"\0 "
# The long names and long links of GNU, and the pax headers of POSIX and of Solaris.
_EXTENSION_TYPES = frozenset(b"LKxX")

# The checksum counts its own field as eight spaces.
_SPACES = 8 * ord(" ")
_ADLER_MODULUS = 65521


class DamagedTarError(ArchiveError):
    """A tar has an invalid header, or a member that reaches past its end.

    The remedy depends on the origin of the tar, so its source replaces it.
    """


class CutTarError(DamagedTarError):
    """A file ends inside a member of a tar."""


class Tar(NamedTuple):
    """A tar that is a file or part of a file.

    Attributes:
      name: its name in errors.
      file: the index of the file.
      start: its first byte in the file.
      end: the byte after its last.
    """

    name: str
    file: int
    start: int
    end: int


class Member(NamedTuple):
    """The headers of one member, as parsed by `tarfile`.

    Attributes:
      name: with folders; None for anything but a regular file.
      offset: of its data in the file, in bytes.
      size: of its data, in bytes.
      next_offset: where the next header starts.
      is_link: whether it is a symbolic or a hard link.
    """

    name: bytes | None
    offset: int
    size: int
    next_offset: int
    is_link: bool


def parse_plain(header: bytes) -> tuple[bytes, int] | None:
    """Returns name and size of a plain header; None for any other block.

    A plain header has magic `ustar`, type regular file, octal size and checksum, and no
    prefix. Everything else (pax, GNU long names, links, directories, binary sizes, a
    wrong checksum) is left to `read_member`.
    """
    size_digits = header[_SIZE_DIGITS]
    if (
        header[_TYPE] != _REGULAR_FILE
        or header[_PREFIX]
        or header[_SIZE_END] not in _NUMBER_ENDS
        or not size_digits.isdigit()
        or not has_checksum(header)
    ):
        return None
    if not (name := name_field(header)):
        return None
    try:
        return name, int(size_digits, 8)
    except ValueError:  # The digits 8 and 9 are not octal.
        return None


def has_checksum(block: bytes) -> bool:
    """Whether a block of 512 bytes has the magic and the checksum of a tar header."""
    # The low half of Adler-32 is the sum of all bytes plus 1, modulo a prime: ten times
    # faster than adding them up in Python.
    return (
        block[_MAGIC] == b"ustar"
        and _adler_low_half(block[_CHECKSUM]) == zlib.adler32(block) & 0xFFFF
    )


@functools.lru_cache(1 << 14)  # The checksums of headers are few different numbers.
def _adler_low_half(checksum: bytes) -> int | None:
    """Returns the low half of the Adler-32 of a header with this checksum field.

    None if the field is not octal digits with a NUL or a space after them.
    """
    digits, end = checksum[:_CHECKSUM_DIGITS], checksum[_CHECKSUM_DIGITS]
    if digits.strip(b"01234567") or end not in _NUMBER_ENDS:
        return None
    return (int(digits, 8) - _SPACES + sum(checksum) + 1) % _ADLER_MODULUS


def name_field(header: bytes) -> bytes:
    """Returns the name in a header, at most 100 bytes of it."""
    return header[_NAME].partition(b"\0")[0]


def size_field(header: bytes) -> int | None:
    """Returns the size in a header in bytes; None unless it is octal digits."""
    digits = header[_SIZE_DIGITS]
    return None if digits.strip(b"01234567") else int(digits, 8)


def read_member(
    files: Files, tar: Tar, start: int, pax_globals: dict[str, str]
) -> Member:
    """Parses the headers of one member with `tarfile`.

    Args:
      files: the files.
      tar: the tar that the member is in.
      start: where its first header starts in the file, in bytes.
      pax_globals: the fields of global pax headers before it; updated here.

    Raises:
      DamagedTarError: if `tarfile` finds no valid header there.
      ArchiveError: if the member is sparse, or the file cannot be read.
    """
    source = _HeaderSource(files, tar, start)
    try:
        opened = tarfile.TarFile(fileobj=source, pax_headers=pax_globals)
        member = opened.next()
    except ArchiveError:
        raise
    except (tarfile.TarError, ValueError, LookupError, ArithmeticError) as error:
        raise _invalid(files, tar, start, str(error)) from error
    except RecursionError as error:
        raise _invalid(files, tar, start, "endless extension headers") from error
    if member is None or opened.offset <= start:
        raise _invalid(files, tar, start, "bad checksum, size or type")
    pax_globals.update(opened.pax_headers)
    if member.issparse():
        raise ArchiveError(
            files.path(tar.file),
            f"{member.name} at byte {start:,} is a GNU sparse member",
            "Make the archive again without --sparse, or download the original",
        )
    name = member.name.encode("utf-8", "surrogateescape") if member.isreg() else None
    is_link = member.issym() or member.islnk()
    return Member(name, member.offset_data, member.size, opened.offset, is_link)


def members_ending_at(files: Files, tar: Tar, last: int) -> Iterator[Member]:
    """Parses a member from each offset where its headers may start.

    A long name or a pax header comes before the last header block, and takes as many
    blocks as its header declares.

    Args:
      files: the files.
      tar: the tar that the member is in.
      last: where the member's last header block starts, in bytes.

    Yields:
      The member, for each offset at which `tarfile` finds a valid one.
    """
    first = max(tar.start, last - BLOCK - _MAX_EXTENSION_BYTES)
    for start in range(last, first - 1, -BLOCK):
        num_blocks = (last - start) // BLOCK - 1
        header = files.read(tar.file, start, BLOCK)
        extends = header[_TYPE] in _EXTENSION_TYPES
        if start == last or (extends and size_field(header) in _sizes_of(num_blocks)):
            with contextlib.suppress(ArchiveError):
                yield read_member(files, tar, start, {})


def _sizes_of(num_blocks: int) -> range:
    """Returns the range of sizes in bytes that take exactly this many blocks."""
    return range((num_blocks - 1) * BLOCK + 1, num_blocks * BLOCK + 1)


class _HeaderSource(io.RawIOBase):
    """A file object of one tar, for `tarfile`."""

    def __init__(self, files: Files, tar: Tar, position: int):
        super().__init__()
        self._files = files
        self._tar = tar
        self._start = self._position = position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: self._tar.end,
        }
        self._position = max(0, base[whence] + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_EXTENSION_BYTES:
            reason = f"an extension header of {size:,} bytes"
            raise _invalid(self._files, self._tar, self._position, reason)
        size = max(0, min(size, self._tar.end - self._position))
        if self._position < self._start:
            # `tarfile` tests here whether the file is long enough. The data before
            # this tar is not part of it.
            return bytes(min(size, self._start - self._position))
        data = self._files.read(self._tar.file, self._position, size)
        self._position += size
        return data


def _invalid(files: Files, tar: Tar, offset: int, reason: str) -> DamagedTarError:
    return DamagedTarError(
        files.path(tar.file),
        f"has no valid tar header at byte {offset:,} of {files.size(tar.file):,} "
        f"({reason})",
        SEE_DAMAGE,
    )
