"""Finds the members of tars by their headers, without reading what lies between."""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

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
    blocks = np.zeros((in_flight, BLOCK), np.uint8)
    rows = [memoryview(blocks[i]) for i in range(in_flight)]
    walks = [_Walk(tar) for tar in itertools.islice(waiting, in_flight)]
    for one in walks:
        one.ask_for_header(file)
    while walks:
        for one, row in zip(walks, rows, strict=False):
            one.read_header(file, row)
        headers = parse_plain(blocks[: len(walks)])
        is_zero, is_plain = headers.is_zero.tolist(), headers.is_plain.tolist()
        passed = 0
        for i, one in enumerate(walks):
            before = one.position
            if is_zero[i]:
                one.done = True
            # A global pax header may say something of all members that follow it.
            elif is_plain[i] and not one.pax_globals:
                crc = zlib.crc32(rows[i])
                one.add(
                    file, headers.names[i], before + BLOCK, int(headers.sizes[i]), crc
                )
            else:
                one.add_any(file)
            if one.done:
                passed += one.tar.end - before
            else:
                passed += one.position - before
                one.ask_for_header(file)
        on_progress(passed)
        for i, one in enumerate(walks):
            if one.done:
                yield one.tar, one.members
                if (tar := next(waiting, None)) is not None:
                    walks[i] = _Walk(tar)
                    walks[i].ask_for_header(file)
        walks = [one for one in walks if not one.done]


@dataclasses.dataclass
class _Walk:
    """How far the walk of one tar has come."""

    tar: Tar
    members: list[TarMember] = dataclasses.field(default_factory=list)
    pax_globals: dict[str, str] = dataclasses.field(default_factory=dict)
    done: bool = False

    def __post_init__(self) -> None:
        self.position = self.tar.start

    def ask_for_header(self, file: ArchiveFile) -> None:
        """Lets the disk fetch the next header, if there is one."""
        if self.position < self.tar.end:
            file.will_need(self.position, BLOCK)

    def read_header(self, file: ArchiveFile, row: memoryview) -> None:
        """Reads the next header; zeros, as at a tar's end, where the tar has ended."""
        if self.position < self.tar.end:
            _check_inside(file, self.tar, "a header", self.position, BLOCK)
            file.read_into(row, self.position)
        else:
            row[:] = bytes(BLOCK)

    def add(
        self, file: ArchiveFile, name: bytes, offset: int, size: int, crc: int
    ) -> None:
        _check_inside(file, self.tar, name.decode(errors="replace"), offset, size)
        self.members.append(TarMember(name, offset, size, crc))
        self.position = offset + -(-size // BLOCK) * BLOCK

    def add_any(self, file: ArchiveFile) -> None:
        header = read_any(file, self.position, self.tar.end, self.pax_globals)
        if header.name is not None:
            crc = zlib.crc32(file.read(header.offset - BLOCK, BLOCK))
            self.add(file, header.name, header.offset, header.size, crc)
        self.position = header.next_offset


def _check_inside(
    file: ArchiveFile, tar: Tar, what: str, offset: int, size: int
) -> None:
    if size < 0 or offset + size > tar.end:
        raise ArchiveError(
            file.path,
            f"is cut off or damaged: {what} takes {size:,} bytes from byte {offset:,}, "
            f"but {tar.name} ends at byte {tar.end:,}",
            "Download the archive again (curl -C - or wget -c resume a download)",
        )
