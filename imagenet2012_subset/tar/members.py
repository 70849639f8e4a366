"""What a tar is, and what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Tar(NamedTuple):
    """A tar inside a file, or the file itself.

    Attributes:
      name: what to call it in an error.
      start: its first byte, from the start of the file.
      end: the byte after its last.
    """

    name: str
    start: int
    end: int


class TarMembers(NamedTuple):
    """Regular files of a tar, a list for each fact, in the tar's order.

    Attributes:
      names: with folders, as bytes.
      offsets: of the data from the start of the file, in bytes.
      sizes: of the data, in bytes.
      header_crcs: CRC-32 of the 512 bytes before the data, the last header block.
    """

    names: list[bytes]
    offsets: list[int]
    sizes: list[int]
    header_crcs: list[int]

    @classmethod
    def none(cls) -> TarMembers:
        """Makes lists without a member, to be extended."""
        return cls([], [], [], [])

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
