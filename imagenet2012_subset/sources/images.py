"""The images of a source as a sequence, in the form that the dataset stores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy.typing as npt
from etils import epath

from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.sources.source import Entries, Entry, Source, decoded

# If one image has the wrong format, this many are sampled.
_SAMPLE = 500


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
          IndexError: if the index is out of range.
          ArchiveError: as `__iter__`.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self):,}")
        return next(iter(self.take([index])))

    def __iter__(self) -> Iterator[Image]:
        """Reads all images in order, with the next ones prefetched.

        Raises:
          ArchiveError: if an image is not the one that was found there.
        """
        for entry, data in zip(
            self.entries, self.source.read_images(self.entries), strict=True
        ):
            yield self._image(entry, data)

    def take(self, indices: npt.ArrayLike) -> Images:
        """Returns the images at `indices`, in that order."""
        return Images(self.source, self.entries.take(indices))

    def staged(self, directory: epath.Path) -> Images:
        """Returns the same images, which can be read at random; see `Source.stage`."""
        return Images(self.source, self.source.stage(self.entries, directory))

    def stored_sizes(self) -> list[int]:
        """Returns the length in bytes of what the dataset stores of each image.

        Reads only the images that are converted, at most 23.
        """
        sizes: list[int] = self.entries.sizes.tolist()
        if not self.source.stores_converted:
            found = decoded(self.entries.names)
            converted = [i for i, name in enumerate(found) if jpeg.is_converted(name)]
            entries = self.entries.take(converted)
            images = [*zip(entries, self.source.read_images(entries), strict=True)]
            if images:
                jpeg.convert([(entry.name, data) for entry, data in images])
            for index, image in zip(converted, images, strict=True):
                sizes[index] = len(self._image(*image).data)
        return sizes

    def _image(self, entry: Entry, data: bytes) -> Image:
        name = entry.name
        stores_converted = self.source.stores_converted
        if problem := jpeg.defect(name, data, stores_converted=stores_converted):
            if jpeg.wrong_format(name, data, stores_converted=stores_converted):
                problem += self._others_of_wrong_format()
            raise self.source.damaged(entry, problem)
        stored = data if stores_converted else jpeg.to_rgb_jpeg(name, data)
        return Image(name, names.wnid(name), stored)

    def _others_of_wrong_format(self) -> str:
        """Returns how many of a sample of the images are not JPEGs, for an error."""
        step = max(1, len(self) // _SAMPLE)
        sample = self.entries.take(range(0, len(self), step))
        num_wrong = num_read = 0
        # Other damage ends the sample: it must not replace the original error.
        with contextlib.suppress(DatasetError):
            for entry, data in zip(
                sample, self.source.read_images(sample), strict=True
            ):
                num_read += 1
                num_wrong += not data.startswith(jpeg.START_OF_IMAGE) and (
                    entry.name not in jpeg.PNG_IMAGES
                )
        if num_wrong < 2:
            return ""
        return f"; of {num_read:,} images compared, {num_wrong:,} are not JPEGs"
