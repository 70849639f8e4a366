"""Images as a sequence, as the dataset stores them: read by index, or in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy.typing as npt

from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.sources.entries import Entries, Entry, decoded
from imagenet2012_subset.sources.source import Source


class Image(NamedTuple):
    """One labelled image.

    Attributes:
      name: its file name, such as `n01440764_18.JPEG`.
      wnid: its class, such as `n01440764`.
      data: the RGB JPEG, as the dataset stores it.
    """

    name: str
    wnid: str
    data: bytes


class Images:
    """Images of one source, as a random-access sequence that reads on demand."""

    def __init__(self, source: Source, entries: Entries):
        self.source = source
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<{len(self):,} images in {self.source.path}>"

    def __getitem__(self, index: int) -> Image:
        """Reads one image.

        Raises:
          IndexError: if there is none of this index.
          ArchiveError: as `__iter__`.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self):,}")
        return next(iter(self.take([index])))

    def __iter__(self) -> Iterator[Image]:
        """Reads all images in turn, with the next ones asked for ahead.

        Raises:
          ArchiveError: if what lies there is not the image that was found.
        """
        for entry, data in zip(
            self.entries, self.source.read_in_order(self.entries), strict=True
        ):
            yield self._image(entry, bytes(data))

    def take(self, indices: npt.ArrayLike) -> Images:
        """Returns the images at `indices`, in that order."""
        return Images(self.source, self.entries.take(indices))

    def stored_sizes(self) -> list[int]:
        """Returns the length in bytes of what the dataset stores of each image.

        That of the source, without a read, but for the two dozen images that are
        converted.
        """
        sizes: list[int] = self.entries.sizes.tolist()
        for index, name in enumerate(decoded(self.entries.names)):
            if jpeg.is_converted(name):
                sizes[index] = len(self[index].data)
        return sizes

    def _image(self, entry: Entry, data: bytes) -> Image:
        if problem := jpeg.defect(entry.name, data):
            raise self.source.damaged(entry, problem)
        stored = jpeg.to_rgb_jpeg(entry.name, data)
        return Image(entry.name, names.wnid(entry.name), stored)
