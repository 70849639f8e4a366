"""A part of a tar, walked from header to header to where the next part begins."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.tar_headers import BLOCK, find_header, read_any

# So many members tell how far apart a tar's headers are.
_SAMPLE = 64


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


class TarMembers(NamedTuple):
    """Regular files of a tar, a list for each fact, in the tar's order.

    Attributes:
      names: with folders, as bytes.
      offsets: of the data from the start of the archive, in bytes.
      sizes: of the data, in bytes.
      header_crcs: CRC-32 of the 512 bytes before the data, the last header block.
    """

    names: list[bytes]
    offsets: list[int]
    sizes: list[int]
    header_crcs: list[int]

    def take(self, indices: Sequence[int]) -> TarMembers:
        """Returns the members at `indices`, in that order."""
        return TarMembers(
            [self.names[i] for i in indices],
            [self.offsets[i] for i in indices],
            [self.sizes[i] for i in indices],
            [self.header_crcs[i] for i in indices],
        )

    def extend(self, others: TarMembers) -> None:
        """Adds members that follow."""
        self.names.extend(others.names)
        self.offsets.extend(others.offsets)
        self.sizes.extend(others.sizes)
        self.header_crcs.extend(others.header_crcs)


class Part:
    """How far the walk of one part of a tar has come.

    A tar is one part until it is cut at places that look like headers. Such a place may
    as well be some member's data, so what was found from there counts only once the
    part before has come to stand exactly there. A part that passes the next one's start
    drops it, and goes on itself.

    Attributes:
      start: where it begins, from the start of the archive, in bytes.
      position: where its next header is, likewise.
      next: the part that follows; None for the tar's last.
      found: the regular files.
      is_done: whether it has come to its end, was dropped, or has an error.
      may_be_cut: whether it is a whole tar that nobody has tried to cut.
      error: why it cannot go on: it began at no header, or the tar is damaged.
    """

    def __init__(self, file: ArchiveFile, tar: Tar, start: int):
        self.start = self.position = start
        self.next: Part | None = None
        self.found = TarMembers([], [], [], [])
        self.error: ArchiveError | None = None
        self._file = file
        self._tar = tar
        self._end = tar.end
        self._pax_globals: dict[str, str] = {}
        self.may_be_cut = True
        self.is_done = False
        self._settle()

    @property
    def passed(self) -> int:
        """How many bytes it has gone through."""
        return min(self.position, self._tar.end) - self.start

    def cut(self, members_each: int, max_parts: int) -> list[Part]:
        """Returns new parts of what lies ahead; none if that is too short.

        Args:
          members_each: how many members a part should have at the least, as far as
            those that were found tell.
          max_parts: how many to return at the most.
        """
        num_found = len(self.found.names)
        enough_found = num_found >= min(_SAMPLE, members_each)
        if not (self.may_be_cut and max_parts and enough_found):
            return []
        self.may_be_cut = False
        length_each = (self.position - self.start) * members_each // num_found
        ahead = self._tar.end - self.position
        num_cuts = min(max_parts, ahead // length_each - 1)
        cuts = [
            self.position + ahead * number // (num_cuts + 1) // BLOCK * BLOCK
            for number in range(1, num_cuts + 1)
        ]
        found = {find_header(self._file, cut, self._tar.end) for cut in cuts}
        starts = sorted(start for start in found if start is not None)
        parts = [Part(self._file, self._tar, start) for start in starts]
        for part, following in itertools.pairwise([self, *parts]):
            part.next = following
            part._settle()
            following.may_be_cut = False
        return parts

    def pass_header(
        self, block: memoryview, is_plain: bool, name: bytes, size: int
    ) -> None:
        """Takes the member whose header is at the position.

        Args:
          block: the header, 512 bytes.
          is_plain: whether `name` and `size`, in bytes, are all that it says.
        """
        try:
            # A global pax header may say something of all members that follow it.
            if is_plain and not self._pax_globals:
                self._add(name, self.position + BLOCK, size, zlib.crc32(block))
            elif any(block):
                self._add_any()
            else:
                self.position = self._tar.end
            if self.position + BLOCK > self._end or self._pax_globals:
                self._settle()
        except ArchiveError as error:
            self.error = error
            self.is_done = True

    def _add(self, name: bytes, offset: int, size: int, header_crc: int) -> None:
        if offset + size > self._tar.end or size < 0:
            self._check_inside(name.decode(errors="replace"), offset, size)
        self.found.names.append(name)
        self.found.offsets.append(offset)
        self.found.sizes.append(size)
        self.found.header_crcs.append(header_crc)
        self.position = offset + -(-size // BLOCK) * BLOCK

    def _add_any(self) -> None:
        """Adds what `tarfile` finds at the position."""
        header = read_any(self._file, self.position, self._tar.end, self._pax_globals)
        if header.name is not None:
            crc = zlib.crc32(self._file.read(header.offset - BLOCK, BLOCK))
            self._add(header.name, header.offset, header.size, crc)
        self.position = header.next_offset

    def _settle(self) -> None:
        """Looks whether this is the end, and whose; a tar may also just end."""
        # What a global pax header says of the next parts, their own walks do not know.
        while self.next and (self.position > self.next.start or self._pax_globals):
            self.next.is_done = True
            self.next = self.next.next
        self._end = self.next.start if self.next else self._tar.end
        self.is_done = self.position >= self._end
        if not self.is_done:
            self._check_inside("a header", self.position, BLOCK)

    def _check_inside(self, what: str, offset: int, size: int) -> None:
        if size < 0 or offset + size > self._tar.end:
            raise ArchiveError(
                self._file.path,
                f"is cut off or damaged: {what} takes {size:,} bytes from byte "
                f"{offset:,}, but {self._tar.name} ends at byte {self._tar.end:,}",
                "Download the archive again (curl -C - or wget -c resume a download)",
            )
