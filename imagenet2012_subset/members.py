"""Where images lie in an archive."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Member(NamedTuple):
    """One image in an archive.

    Attributes:
      name: its file name without folders, such as `n01440764_18.JPEG`.
      offset: of its first byte from the start of the archive, in bytes.
      size: its length in bytes.
      header_crc: CRC-32 of the 512 bytes of tar header before it.
    """

    name: str
    offset: int
    size: int
    header_crc: int


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """Many images of one archive, a column for each fact, in archive order.

    Columns keep 1.28 million members in some 45 MB.

    Attributes:
      names: bytes (ASCII), shape (n,).
      offsets: int64, shape (n,), in bytes from the start of the archive.
      sizes: int64, shape (n,), in bytes.
      header_crcs: uint32, shape (n,).
    """

    names: npt.NDArray[np.bytes_]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    header_crcs: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Member:
        return Member(
            self.names[index].decode("ascii"),
            int(self.offsets[index]),
            int(self.sizes[index]),
            int(self.header_crcs[index]),
        )

    def __iter__(self) -> Iterator[Member]:
        columns = self.offsets, self.sizes, self.header_crcs
        for name, *numbers in zip(
            decoded(self.names), *(column.tolist() for column in columns), strict=True
        ):
            yield Member(name, *numbers)

    def take(self, indices: npt.ArrayLike) -> Members:
        """Returns the members at `indices` (or where a boolean array is true)."""
        chosen = np.asarray(indices)
        if not chosen.size:
            chosen = chosen.astype(np.int64)
        return Members(
            self.names[chosen],
            self.offsets[chosen],
            self.sizes[chosen],
            self.header_crcs[chosen],
        )

    @classmethod
    def from_columns(
        cls,
        names: Sequence[bytes] = (),
        offsets: Sequence[int] = (),
        sizes: Sequence[int] = (),
        header_crcs: Sequence[int] = (),
    ) -> Members:
        """Makes arrays of the columns; of none, no members."""
        return cls(
            np.array(names, dtype=np.bytes_),
            np.array(offsets, dtype=np.int64),
            np.array(sizes, dtype=np.int64),
            np.array(header_crcs, dtype=np.uint32),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Members]) -> Members:
        """Joins several archives' parts, one after the other."""
        if not parts:
            return cls.from_columns()
        return cls(
            np.concatenate([part.names for part in parts]),
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.sizes for part in parts]),
            np.concatenate([part.header_crcs for part in parts]),
        )


def decoded(names: npt.NDArray[np.bytes_]) -> list[str]:
    """Returns a column of names as text."""
    return [name.decode("ascii") for name in names.tolist()]
