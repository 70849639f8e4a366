"""What the road asks of a source of images, in whatever form they lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from etils import epath

from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.find.entries import Entries, Entry
from imagenet2012_subset.imagenet.originals import Original


@dataclasses.dataclass(frozen=True)
class Index:
    """All that a source holds.

    Attributes:
      entries: everything with a name that ImageNet gives to images, in source order.
      num_others: how many other files there are; tars that were looked into do not
        count.
      others: the first few of these, names with folders, to tell the user.
    """

    entries: Entries
    num_others: int = 0
    others: tuple[str, ...] = ()


class Origin(Protocol):
    """What another process needs to open a source again; it can be pickled."""

    def open(self) -> Source:
        """Opens the source.

        Raises:
          ArchiveError: if it is no longer what it was, or cannot be opened.
        """


class Source(Protocol):
    """Images of one split; its methods may be called from any thread.

    Attributes:
      path: what to name in an error.
      original: the published archive whose images these are.
      size: the length in bytes of what was downloaded; None if it is taken apart.
    """

    path: epath.Path
    original: Original

    @property
    def size(self) -> int | None: ...

    @property
    def origin(self) -> Origin:
        """What opens this source again, and tells whether it has changed."""

    def describe(self) -> str:
        """Returns what the user has, and how it differs from the original, in words."""

    def index(self) -> Index:
        """Returns all that is there, which may take a while the first time.

        Raises:
          ArchiveError: if the source cannot be read, is cut off or damaged.
        """

    def look_up(self, names: Sequence[str]) -> Entries:
        """Returns all entries that have one of these names, in source order.

        They may be fewer than the names, and some names may be there more than once.

        Raises:
          ArchiveError: as `index`.
        """

    def read_in_order(self, entries: Entries) -> Iterator[memoryview]:
        """Yields each entry's bytes as they lie there, with the next ones under way.

        What is yielded stays until the next.

        Raises:
          ArchiveError: if what lies there is not the image that was found.
        """

    def sha256(self) -> str | None:
        """Returns the digest of what was downloaded; None if it is taken apart.

        Raises:
          ArchiveError: if it cannot be read.
        """

    def damaged(self, entry: Entry, problem: str) -> DatasetError:
        """Returns the error that says where an image is, what is wrong, what to do."""
