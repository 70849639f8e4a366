"""Finds the members of tars by their headers, without reading what lies between."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.tar_headers import BLOCK, parse_plain, read_any

# 256 headers asked for ahead are what one disk serves at its best; more gain nothing.
IN_FLIGHT = 256


class Tar(NamedTuple):
    """A tar inside an archive, or the archive itself.

    Attributes:
      name: what to call it in an error.
      start: its first byte, from the start of the archive.
      end: the byte after its last.
    """

    name: str
    start: int
    end: int


class TarMember(NamedTuple):
    """A regular file in a tar.

    Attributes:
      name: with its folders, as bytes.
      offset: of its data from the start of the archive, in bytes.
      size: of its data, in bytes.
      header_crc: CRC-32 of the 512 bytes before the data, its last header block.
    """

    name: bytes
    offset: int
    size: int
    header_crc: int


def walk(
    file: ArchiveFile,
    tars: Iterable[Tar],
    *,
    in_flight: int = IN_FLIGHT,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Tar, list[TarMember]]]:
    """Yields each tar with its regular files, in the order in which they are done.

    A header says where the next one is, so one tar takes as many reads after each
    other as it has members. Many tars are therefore walked in step: the next header of
    each is asked for ahead, and read when its turn comes round again.

    Args:
      file: the archive that holds the tars.
      tars: which of its parts to walk.
      in_flight: how many tars to walk in step.
      on_progress: called with the number of bytes passed since the last call.

    Raises:
      ArchiveError: if a header is invalid, or a member reaches past its tar's end.
        A tar may end without end-of-archive blocks: what is missing then is found out
        by what was to be in it.
    """
    waiting = iter(tars)
    batch = max(1, in_flight // 2)
    blocks = np.zeros((batch, BLOCK), np.uint8)
    rows = [memoryview(blocks[i]) for i in range(batch)]
    walks: list[_Walk] = []
    while True:
        for tar in itertools.islice(waiting, in_flight - len(walks)):
            walks.append(_Walk(file, tar))
            walks[-1].ask_for_header()
        if not walks:
            return
        passed = 0
        # While the headers of one batch are parsed, the disk fetches another's.
        for start in range(0, len(walks), batch):
            passed += _read_headers(file, walks[start : start + batch], blocks, rows)
        on_progress(passed)
        for one in walks:
            if one.is_done:
                yield one.tar, list(map(TarMember._make, one.found))
        walks = [one for one in walks if not one.is_done]


def _read_headers(
    file: ArchiveFile,
    walks: Sequence[_Walk],
    blocks: npt.NDArray[np.uint8],
    rows: Sequence[memoryview],
) -> int:
    """Takes each walk a header further; returns how many bytes they passed in all."""
    before = sum(one.position for one in walks)
    going_on = [one for one in walks if not one.is_done]
    file.read_each(rows, [one.position for one in going_on])
    headers = parse_plain(blocks[: len(going_on)])
    for one, row, name, size, is_plain in zip(
        going_on, rows, headers.names, headers.sizes, headers.is_plain, strict=False
    ):
        # A global pax header may say something of all members that follow it.
        if is_plain and not one.pax_globals:
            one.add(name, one.position + BLOCK, size, zlib.crc32(row))
        elif any(row):
            one.add_any()
        else:
            one.position = one.tar.end
        one.ask_for_header()
    return sum(min(one.position, one.tar.end) for one in walks) - before


class _Walk:
    """How far the walk of one tar has come."""

    def __init__(self, file: ArchiveFile, tar: Tar):
        self.tar = tar
        self.position = tar.start
        self.is_done = False
        self.found: list[tuple[bytes, int, int, int]] = []
        self.pax_globals: dict[str, str] = {}
        self._file = file

    def ask_for_header(self) -> None:
        """Lets the disk fetch the next header; a tar may also just end."""
        self.is_done = self.position >= self.tar.end
        if not self.is_done:
            if self.position + BLOCK > self.tar.end:
                self._check_inside("a header", self.position, BLOCK)
            self._file.will_need(self.position, BLOCK)

    def add(self, name: bytes, offset: int, size: int, header_crc: int) -> None:
        if offset + size > self.tar.end or size < 0:
            self._check_inside(name.decode(errors="replace"), offset, size)
        self.found.append((name, offset, size, header_crc))
        self.position = offset + -(-size // BLOCK) * BLOCK

    def add_any(self) -> None:
        """Adds what `tarfile` finds at the position."""
        header = read_any(self._file, self.position, self.tar.end, self.pax_globals)
        if header.name is not None:
            crc = zlib.crc32(self._file.read(header.offset - BLOCK, BLOCK))
            self.add(header.name, header.offset, header.size, crc)
        self.position = header.next_offset

    def _check_inside(self, what: str, offset: int, size: int) -> None:
        if size < 0 or offset + size > self.tar.end:
            raise ArchiveError(
                self._file.path,
                f"is cut off or damaged: {what} takes {size:,} bytes from byte "
                f"{offset:,}, but {self.tar.name} ends at byte {self.tar.end:,}",
                "Download the archive again (curl -C - or wget -c resume a download)",
            )
