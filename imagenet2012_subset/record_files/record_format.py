"""What a source needs of a format of record files."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple, Protocol

from imagenet2012_subset.record_files.example import LabelOf
from imagenet2012_subset.storage.files import FileTable
from imagenet2012_subset.storage.in_step import OnProgress

DAMAGED = (
    "Copy the file again from where it was prepared, or prepare the dataset again "
    "(tfds build imagenet2012 --overwrite)"
)


class Records(NamedTuple):
    """The images of one file, a list for each fact.

    Attributes:
      names: file names.
      offsets: of each image's first byte in the file, in bytes; 0 where only the
        format's own reader can find a record.
      sizes: in bytes.
      seals: numbers by which the format finds and recognizes the records.
    """

    names: list[bytes]
    offsets: list[int]
    sizes: list[int]
    seals: list[int]


class Place(Protocol):
    """Where an image is; the attributes are those of `Records`."""

    @property
    def file(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def seal(self) -> int: ...


class RecordFormat(abc.ABC):
    """Finds and reads the records of files in one format.

    Attributes:
      title: the name of the format.
    """

    title: ClassVar[str]

    @abc.abstractmethod
    def walk(
        self, table: FileTable, label_of: LabelOf, on_progress: OnProgress
    ) -> list[Records]:
        """Returns the records of each file.

        Args:
          table: the files, all of one split.
          label_of: returns the label that an image must have.
          on_progress: called with the number of bytes passed since its last call.

        Raises:
          ArchiveError: if a file is cut off, or a record is damaged or is not an
            example of the split.
        """

    @abc.abstractmethod
    def read(self, table: FileTable, places: Sequence[Place]) -> Iterator[bytes]:
        """Yields what the files contain at these places, for `parse`.

        Raises:
          ArchiveError: if a file cannot be read or has changed.
        """

    @abc.abstractmethod
    def parse(
        self, place: Place, data: bytes, label_of: LabelOf
    ) -> tuple[bytes, bytes]:
        """Returns the name and the bytes of the image in what was read.

        Raises:
          RecordError: if the record does not match its checksum, is not the one that
            was found there, or is not an example of the split.
        """

    @abc.abstractmethod
    def where(self, place: Place) -> str:
        """Returns the place in words."""
