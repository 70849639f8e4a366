"""What the road asks of a source of images, in whatever form they lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from etils import epath

from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.imagenet.originals import Original
from imagenet2012_subset.sources.entries import Entries, Entry


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a source is seen to hold, to tell the user of it.

    Attributes:
      names: bytes, shape (n,): of everything with a name that ImageNet gives to images.
      num_others: how many other files there are.
      others: the first few of these, names with folders.
    """

    names: npt.NDArray[np.bytes_]
    num_others: int = 0
    others: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Index:
    """All that an archive holds.

    Attributes:
      entries: everything with a name that ImageNet gives to images, in source order.
      num_others: how many other files there are; tars that were looked into do not
        count.
      others: the first few of these, names with folders, to tell the user.
    """

    entries: Entries
    num_others: int = 0
    others: tuple[str, ...] = ()

    @property
    def listing(self) -> Listing:
        """The same without places and sizes."""
        return Listing(self.entries.names, self.num_others, self.others)


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
      form: how the images lie there, in a few words.
      remedy: what to do where images are missing.
      size: the length in bytes of what was downloaded; None if it is taken apart.
    """

    path: epath.Path
    original: Original

    @property
    def form(self) -> str: ...

    @property
    def remedy(self) -> str: ...

    @property
    def size(self) -> int | None: ...

    @property
    def origin(self) -> Origin:
        """What opens this source again, and tells whether it has changed."""

    def describe(self) -> str:
        """Returns what the user has, and how it differs from the original, in words."""

    def listing(self) -> Listing:
        """Returns all that is there, which may take a while the first time.

        Raises:
          ArchiveError: if the source cannot be read, is cut off or damaged.
        """

    def look_up(self, names: Sequence[str]) -> Entries:
        """Returns all entries that have one of these names, in source order.

        They may be fewer than the names, and some names may be there more than once.

        Raises:
          ArchiveError: as `listing`; or if what has such a name cannot be an image.
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
