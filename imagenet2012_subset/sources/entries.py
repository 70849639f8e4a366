"""What is known of images before they are read: a column for each fact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Entry(NamedTuple):
    """One image of a source.

    Attributes:
      name: its file name without folders, such as `n01440764_18.JPEG`.
      file: in a tree, which of its layouts has it; 0 in an archive.
      offset: of its first byte from the start of the file it is in, in bytes.
      size: its length in bytes.
      seal: by which its source knows that it is still what was found.
    """

    name: str
    file: int
    offset: int
    size: int
    seal: int


@dataclasses.dataclass(frozen=True, eq=False)
class Entries:
    """Many images of one source, a column for each fact.

    Columns keep 1.28 million entries in some 60 MB.

    Attributes:
      names: bytes (ASCII), shape (n,).
      files: int32, shape (n,).
      offsets: int64, shape (n,), in bytes.
      sizes: int64, shape (n,), in bytes.
      seals: int64, shape (n,).
    """

    names: npt.NDArray[np.bytes_]
    files: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    seals: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Entry:
        name, *numbers = (column[index].item() for column in self._columns)
        return Entry(name.decode("ascii"), *numbers)

    def __iter__(self) -> Iterator[Entry]:
        _, *numbers = (column.tolist() for column in self._columns)
        return map(Entry, decoded(self.names), *numbers)

    def take(self, indices: npt.ArrayLike) -> Entries:
        """Returns the entries at `indices` (or where a boolean array is true)."""
        chosen = np.asarray(indices)
        if not chosen.size:
            chosen = chosen.astype(np.int64)
        return Entries(*(column[chosen] for column in self._columns))

    @classmethod
    def from_columns(
        cls,
        names: Sequence[bytes] = (),
        files: Sequence[int] = (),
        offsets: Sequence[int] = (),
        sizes: Sequence[int] = (),
        seals: Sequence[int] = (),
    ) -> Entries:
        """Makes arrays of the columns; of none, no entries."""
        return cls(
            np.array(names, dtype=np.bytes_),
            np.array(files, dtype=np.int32),
            np.array(offsets, dtype=np.int64),
            np.array(sizes, dtype=np.int64),
            np.array(seals, dtype=np.int64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Entries]) -> Entries:
        """Joins entries of one source, one after the other."""
        if not parts:
            return cls.from_columns()
        columns = zip(*(part._columns for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    @property
    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.names, self.files, self.offsets, self.sizes, self.seals


def decoded(names: npt.NDArray[np.bytes_]) -> list[str]:
    """Returns a column of names as text."""
    return [name.decode("ascii") for name in names.tolist()]
