"""Reads tar headers: plain ones many at a time, all others through `tarfile`."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from imagenet2012_subset.errors import SEE_DAMAGE, ArchiveError
from imagenet2012_subset.storage.file import File

BLOCK = tarfile.BLOCKSIZE  # Headers and data start at multiples of 512 bytes.

# A long name or a pax header takes as many bytes as it says it does; what says more
# than this is damaged, and must not be read into memory.
_MAX_EXTENSION_BYTES = 64 << 10

_NAME = slice(0, 100)  # Fields of a header, as POSIX.1-1988 (ustar) lays them out.
_SIZE_DIGITS = slice(124, 135)
_SIZE_END = 135
_CHECKSUM = slice(148, 156)
_CHECKSUM_DIGITS = slice(148, 154)
_TYPE = 156
_MAGIC = slice(257, 262)
_PREFIX_START = 345
# GNU's long names and long links, and pax headers of POSIX and of Solaris.
_EXTENSION_TYPES = frozenset(b"LKxX")

_OCTAL_11 = 8 ** np.arange(10, -1, -1, dtype=np.int64)
_OCTAL_6 = 8 ** np.arange(5, -1, -1, dtype=np.int64)


class PlainHeaders(NamedTuple):
    """What header blocks say, one entry a block.

    Attributes:
      is_plain: whether it is of a regular file, in the one form that needs no
        interpretation. What the others say holds only for these.
      names: as bytes, with folders.
      sizes: in bytes.
    """

    is_plain: list[bool]
    names: list[bytes]
    sizes: list[int]


def parse_plain(blocks: npt.NDArray[np.uint8]) -> PlainHeaders:
    """Parses `blocks`, uint8 of shape (n, 512), as far as they are plain headers.

    Plain means: magic `ustar`, regular file, octal size and checksum, no name prefix,
    and a name that ends at its first NUL. Everything else (pax, GNU long names, links,
    directories, binary sizes, a wrong checksum) is left to `read_any`.
    """
    names = np.ascontiguousarray(blocks[:, _NAME]).view("S100").ravel()
    name_lengths = np.char.str_len(names)
    size_digits = blocks[:, _SIZE_DIGITS] - np.uint8(ord("0"))
    is_plain = (
        are_sealed(blocks)
        & (blocks[:, _TYPE] == ord("0"))
        & (blocks[:, _PREFIX_START] == 0)
        & (size_digits < 8).all(axis=1)
        & _ends_number(blocks[:, _SIZE_END])
        & (name_lengths > 0)
        & (name_lengths == np.count_nonzero(blocks[:, _NAME], axis=1))
    )
    return PlainHeaders(
        is_plain.tolist(), names.tolist(), (size_digits @ _OCTAL_11).tolist()
    )


def are_sealed(blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Returns which of `blocks`, uint8 of shape (n, 512), have magic and checksum."""
    checksum_digits = blocks[:, _CHECKSUM_DIGITS] - np.uint8(ord("0"))
    byte_sums = blocks.sum(axis=1, dtype=np.uint32)
    checksum_field_sums = blocks[:, _CHECKSUM].sum(axis=1, dtype=np.uint32)
    checksums = byte_sums - checksum_field_sums + 8 * ord(" ")
    sealed: npt.NDArray[np.bool_] = (
        (blocks[:, _MAGIC] == np.frombuffer(b"ustar", np.uint8)).all(axis=1)
        & (checksum_digits < 8).all(axis=1)
        & _ends_number(blocks[:, _CHECKSUM_DIGITS.stop])
        & (checksum_digits @ _OCTAL_6 == checksums)
    )
    return sealed


def _ends_number(column: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    ends: npt.NDArray[np.bool_] = (column == 0) | (column == ord(" "))
    return ends


def name_field(header: memoryview) -> bytes:
    """Returns the name in one header, or as much of it as 100 bytes take."""
    return bytes(header[_NAME]).partition(b"\0")[0]


def size_field(header: memoryview) -> int | None:
    """Returns the size in one header, in bytes; None unless it is octal digits."""
    digits = bytes(header[_SIZE_DIGITS])
    return None if digits.strip(b"01234567") else int(digits, 8)


class AnyHeader(NamedTuple):
    """What `tarfile` says of one member.

    Attributes:
      name: as bytes, with folders; None for what is not a regular file.
      offset: of its data from the start of the archive, in bytes.
      size: of its data, in bytes.
      next_offset: where the next header starts.
    """

    name: bytes | None
    offset: int
    size: int
    next_offset: int


def read_any(
    file: File, start: int, end: int, pax_globals: dict[str, str]
) -> AnyHeader:
    """Reads the header at `start`, and what extends it, as `tarfile` understands it.

    Args:
      file: the archive.
      start: where the header starts, in bytes.
      end: where the tar that it belongs to ends.
      pax_globals: what global pax headers before it have set; updated here.

    Raises:
      ArchiveError: if `tarfile` finds no valid header there, or the member is sparse.
    """
    source = _HeaderSource(file, start, end)
    try:
        tar = tarfile.TarFile(fileobj=source, pax_headers=pax_globals)
        member = tar.next()
    except ArchiveError:
        raise
    except (tarfile.TarError, ValueError, LookupError, ArithmeticError) as error:
        raise _invalid(file, start, str(error)) from error
    except RecursionError as error:
        raise _invalid(file, start, "endless extension headers") from error
    if member is None or tar.offset <= start:
        raise _invalid(file, start, "bad checksum, size or type")
    pax_globals.update(tar.pax_headers)
    if member.issparse():
        path, at, _ = file.place(start)
        raise ArchiveError(
            path,
            f"{member.name} at byte {at:,} is a GNU sparse member",
            "Make the archive again without --sparse, or download the original",
        )
    name = member.name.encode("utf-8", "surrogateescape") if member.isreg() else None
    return AnyHeader(name, member.offset_data, member.size, tar.offset)


def extended_headers(file: File, last: int) -> Iterator[AnyHeader]:
    """Reads a member's headers from where they may begin, given its last header block.

    A long name or a pax header stands before that, and takes as many blocks as it says.

    Args:
      file: the archive.
      last: where the last header block starts, in bytes.

    Yields:
      What `tarfile` says of the member, for each place from which it finds one.
    """
    first = max(0, last - BLOCK - _MAX_EXTENSION_BYTES)
    for start in range(last, first - 1, -BLOCK):
        num_blocks = (last - start) // BLOCK - 1
        header = memoryview(file.read(start, BLOCK))
        extends = header[_TYPE] in _EXTENSION_TYPES
        if start == last or (extends and size_field(header) in _sizes_of(num_blocks)):
            with contextlib.suppress(ArchiveError):
                yield read_any(file, start, file.size, {})


def _sizes_of(num_blocks: int) -> range:
    """Returns how many bytes may lie in so many blocks."""
    return range((num_blocks - 1) * BLOCK + 1, num_blocks * BLOCK + 1)


class _HeaderSource(io.RawIOBase):
    """The bytes of one tar as a file, for `tarfile` to read headers from."""

    def __init__(self, file: File, position: int, end: int):
        super().__init__()
        self._file = file
        self._start = self._position = position
        self._end = end

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}
        self._position = max(0, base[whence] + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_EXTENSION_BYTES:
            raise _invalid(
                self._file, self._position, f"an extension header of {size:,} bytes"
            )
        size = max(0, min(size, self._end - self._position))
        if self._position < self._start:
            # Whether the tar reaches up to the header, which is no question here. Of a
            # tar among others what lies before is not its own.
            return bytes(min(size, self._start - self._position))
        data = self._file.read(self._position, size)
        self._position += size
        return data


def _invalid(file: File, offset: int, reason: str) -> ArchiveError:
    path, at, size = file.place(offset)
    return ArchiveError(
        path,
        f"has no valid tar header at byte {at:,} of {size:,} ({reason})",
        SEE_DAMAGE,
    )
