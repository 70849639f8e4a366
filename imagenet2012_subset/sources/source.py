"""The interface of all sources of images, independent of how they are stored."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from etils import epath

from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.imagenet.names import Original
from imagenet2012_subset.storage.files import FileTable


class Entry(NamedTuple):
    """One image of a source.

    Attributes:
      name: its file name without folders, such as `n01440764_18.JPEG`.
      path: the file that contains it.
      file: the index of this file in the table of its entries.
      offset: of its first byte in that file, in bytes.
      size: its length in bytes.
      seal: a number by which the source recognizes what it found.
    """

    name: str
    path: str
    file: int
    offset: int
    size: int
    seal: int


@dataclasses.dataclass(frozen=True, eq=False)
class Entries:
    """Many images of one source, as columns.

    Columns keep 1.28 million entries in about 60 MB.

    Attributes:
      table: the files that contain them.
      names: bytes (ASCII), shape (n,).
      files: int32, shape (n,).
      offsets: int64, shape (n,), in bytes.
      sizes: int64, shape (n,), in bytes.
      seals: int64, shape (n,).
    """

    table: FileTable
    names: npt.NDArray[np.bytes_]
    files: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    seals: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Entry:
        name, file, *numbers = (column[index].item() for column in self._columns)
        return Entry(name.decode("ascii"), self.table.paths[file], file, *numbers)

    def __iter__(self) -> Iterator[Entry]:
        _, files, *numbers = (column.tolist() for column in self._columns)
        paths = map(self.table.paths.__getitem__, files)
        return map(Entry, decoded(self.names), paths, files, *numbers)

    def take(self, indices: npt.ArrayLike) -> Entries:
        """Returns the entries at `indices` (or where a boolean array is true).

        Their table contains only the files that they are in.
        """
        chosen = np.asarray(indices)
        if not chosen.size:
            chosen = chosen.astype(np.int64)
        names, files, *others = (column[chosen] for column in self._columns)
        table = self.table
        if len(table) > 1:
            used, files = np.unique(files, return_inverse=True)
            table = table.take(used)
        return Entries(table, names, files.astype(np.int32), *others)

    def named(self, names: Sequence[str]) -> Entries:
        """Returns the entries that have one of these names."""
        wanted = {name.encode("ascii") for name in names}
        return self.take(
            [i for i, name in enumerate(self.names.tolist()) if name in wanted]
        )

    @classmethod
    def from_columns(
        cls,
        table: FileTable,
        names: Sequence[bytes] = (),
        files: Sequence[int] = (),
        offsets: Sequence[int] = (),
        sizes: Sequence[int] = (),
        seals: Sequence[int] = (),
    ) -> Entries:
        """Converts the columns to arrays."""
        return cls(
            table,
            np.array(names, dtype=np.bytes_),
            np.array(files, dtype=np.int32),
            np.array(offsets, dtype=np.int64),
            np.array(sizes, dtype=np.int64),
            np.array(seals, dtype=np.int64),
        )

    @property
    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.names, self.files, self.offsets, self.sizes, self.seals


def decoded(names: npt.NDArray[np.bytes_]) -> list[str]:
    """Returns a column of names as text."""
    return [name.decode("ascii") for name in names.tolist()]


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a source contains, for messages.

    Attributes:
      names: bytes, shape (n,): everything with a name that ImageNet gives to images.
      num_others: how many other files there are.
      others: the first few of these, names with folders.
      remarks: other observations, such as how many members are links; each continues
        the sentence "it has ...".
    """

    names: npt.NDArray[np.bytes_]
    num_others: int = 0
    others: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Index:
    """Everything that an archive contains.

    Attributes:
      entries: everything with a name that ImageNet gives to images, in source order.
      num_others: how many other files there are. Tars that were walked do not count.
      others: the first few of these, names with folders.
      remarks: as in `Listing`.
    """

    entries: Entries
    num_others: int = 0
    others: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def listing(self) -> Listing:
        """The same without locations and sizes."""
        return Listing(self.entries.names, self.num_others, self.others, self.remarks)


class Source(abc.ABC):
    """The images of one split; its methods may be called from any thread.

    A source can be pickled, so that other processes can read the entries that it found.

    Attributes:
      path: the path to name in errors.
      original: the published archive that these images come from.
      stores_converted: whether the CMYK images and the PNG are RGB JPEGs already.
    """

    path: epath.Path
    original: Original
    stores_converted: ClassVar[bool] = False

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out open files and indices: entries suffice to read images."""
        state = dict(self.__dict__)
        for name in self.__dict__:
            if isinstance(getattr(type(self), name, None), functools.cached_property):
                del state[name]
        return state

    @property
    @abc.abstractmethod
    def form(self) -> str:
        """A short description of the form in which the images are stored."""

    @property
    @abc.abstractmethod
    def remedy(self) -> str:
        """What to do if images are missing."""

    @property
    def size(self) -> int | None:
        """The length in bytes of a published archive; None for any other form."""
        return None

    @abc.abstractmethod
    def describe(self) -> str:
        """Describes the source, to continue the problem of an error."""

    @abc.abstractmethod
    def listing(self) -> Listing:
        """Returns everything that the source contains; may take a while once.

        Raises:
          ArchiveError: if the source cannot be read, is cut off or damaged.
        """

    @abc.abstractmethod
    def look_up(self, names: Sequence[str]) -> Entries:
        """Returns all entries that have one of these names, in source order.

        Some names may be missing, and some may occur more than once.

        Raises:
          ArchiveError: as `listing`; or if a file with such a name cannot be an image.
        """

    def num_bytes_to_stage(self, entries: Entries) -> int:
        """Returns about how many bytes `stage` writes."""
        del entries
        return 0

    def stage(self, entries: Entries, directory: epath.Path) -> Entries:
        """Returns entries that can be read at random and whose sizes are known.

        A source that cannot be read at random copies its images into the directory.

        Args:
          entries: what `look_up` returned, or some of these in the same order.
          directory: exists until the dataset is written, and is removed afterwards.
        """
        del directory
        return entries

    @abc.abstractmethod
    def read_images(self, entries: Entries) -> Iterator[bytes]:
        """Yields each entry's bytes in order, with the next ones prefetched.

        Raises:
          ArchiveError: if an image is not the one that was found there.
        """

    @abc.abstractmethod
    def where(self, entry: Entry) -> str:
        """Returns where an image is, for messages: a path, or a member and its byte."""

    @abc.abstractmethod
    def damaged(self, entry: Entry, problem: str) -> DatasetError:
        """Returns the error for a damaged image, with its location and a remedy."""

    def sha256(self) -> str | None:
        """Returns the digest of a published archive; None for any other form.

        Raises:
          ArchiveError: if it cannot be read.
        """
        return None


class Found(NamedTuple):
    """Images of a split that exist in some form, not opened yet.

    Attributes:
      what: what they are and where, such as `images in /data/train`.
      has_images: whether an image of the split was seen, not only a place for images.
      open: returns the source.
    """

    what: str
    has_images: bool
    open: Callable[[], Source]
