"""A piece of a tar, walked from header to header up to where another begins."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.tar.headers import BLOCK, read_any
from imagenet2012_subset.tar.members import Tar, TarMembers


class Piece:
    """How far a walk has come that began at one header of a tar.

    Attributes:
      tar: what it is a piece of.
      start: where its first header is, from the start of the file, in bytes.
      position: where its next header is, likewise.
      members: the regular files.
      pax_globals: what global pax headers say of all members that follow them.
      error: why it can go no further. It counts only if there is a header at `start`.
    """

    def __init__(
        self,
        file: File,
        tar: Tar,
        start: int,
        until: int,
        pax_globals: Mapping[str, str] | None = None,
    ):
        """Begins a piece.

        Args:
          file: what holds the tar.
          tar: what it is a piece of.
          start: where its first header is, from the start of the file, in bytes.
          until: it ends with the first member that reaches this byte, or with the tar.
          pax_globals: what headers before it say of all members that follow.
        """
        self.tar = tar
        self.start = self.position = start
        self.members = TarMembers.none()
        self.pax_globals = dict(pax_globals or {})
        self.error: ArchiveError | None = None
        self._file = file
        self._until = min(until, tar.end)
        self._see_room()

    def go_on(self) -> None:
        """Lets it end with the tar, wherever it was to end."""
        self._until = self.tar.end
        self._see_room()

    @property
    def is_done(self) -> bool:
        """Whether it has come to its end, or can go no further."""
        return self.error is not None or self.position >= self._until

    @property
    def end(self) -> int:
        """Up to which byte its headers may lie."""
        return self._until

    @property
    def passed(self) -> int:
        """How many bytes it has gone through."""
        return min(self.position, self._until) - self.start

    def pass_header(
        self, block: memoryview, is_plain: bool, name: bytes, size: int
    ) -> bool:
        """Takes the member whose header is at the position; returns `is_done`.

        Args:
          block: the header, 512 bytes.
          is_plain: whether `name` and `size`, in bytes, are all that it says.
          name: of a plain member, with folders.
          size: of a plain member.
        """
        try:
            # A global pax header may say something of all members that follow it.
            if is_plain and not self.pax_globals:
                self._add(name, self.position + BLOCK, size, zlib.crc32(block))
            elif any(block):
                self._add_any()
            else:
                self.position = self.tar.end
        except ArchiveError as error:
            self.error = error
        else:
            if self.position + BLOCK > self.tar.end:
                self._see_room()
        return self.is_done

    def _add(self, name: bytes, offset: int, size: int, header_crc: int) -> None:
        if offset + size > self.tar.end or size < 0:
            raise self._cut_off(name.decode(errors="replace"), offset, size)
        members = self.members
        members.names.append(name)
        members.offsets.append(offset)
        members.sizes.append(size)
        members.header_crcs.append(header_crc)
        self.position = offset + -(-size // BLOCK) * BLOCK

    def _add_any(self) -> None:
        """Adds what `tarfile` finds at the position."""
        header = read_any(self._file, self.position, self.tar.end, self.pax_globals)
        if header.name is not None:
            crc = zlib.crc32(self._file.read(header.offset - BLOCK, BLOCK))
            self._add(header.name, header.offset, header.size, crc)
        self.position = header.next_offset

    def _see_room(self) -> None:
        """Sees that the next header is in the tar; a tar may also just end."""
        if self.position < self._until and self.position + BLOCK > self.tar.end:
            self.error = self._cut_off("a header", self.position, BLOCK)

    def _cut_off(self, what: str, offset: int, size: int) -> ArchiveError:
        path, end, _ = self._file.place(self.tar.end)
        at = end - self.tar.end + offset
        return ArchiveError(
            path,
            f"is cut off or damaged: {what} takes {size:,} bytes from byte {at:,}, "
            f"but {self.tar.name} ends at byte {end:,}",
            "Download the archive again (curl -C - or wget -c resume a download)",
        )
