"""Reads every record once, for the sizes of all images and some thumbnails."""

from __future__ import annotations

import collections
import dataclasses
import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from imagenet2012_subset.errors import first_line
from imagenet2012_subset.imagenet.class_names import class_names
from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.prepared.dataset import PreparedDataset, damaged
from imagenet2012_subset.prepared.records import Record, read_shard
from imagenet2012_subset.subset.subset_list import fingerprint

SIDE = 96
"""Width and height of a thumbnail in pixels."""

MAX_BYTES = 1_700
"""The maximum size of a thumbnail, if possible; most photos take about 1,200 bytes."""

_QUALITIES = (40, 25, 10, 0)


class Thumbnail(NamedTuple):
    """A small picture of an image, and facts about the image.

    Attributes:
      file_name: of the image.
      width: of the image in pixels.
      height: of the image in pixels.
      num_bytes: of the encoded image.
      webp: the middle of the image, `SIDE` by `SIDE` pixels.
    """

    file_name: str
    width: int
    height: int
    num_bytes: int
    webp: bytes


def make_thumbnail(file_name: str, data: bytes) -> Thumbnail:
    """Returns the thumbnail of an encoded image.

    Raises:
      OSError: if Pillow cannot decode it.
    """
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        # A JPEG decoder scales down by 2, 4 or 8 at a lower cost.
        image.draft("RGB", (SIDE, SIDE))
        small = ImageOps.fit(image.convert("RGB"), (SIDE, SIDE))
    return Thumbnail(file_name, width, height, len(data), _encode(small))


def _encode(picture: Image.Image) -> bytes:
    for quality in _QUALITIES:
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=quality, method=6)
        if stream.tell() <= MAX_BYTES:
            break
    return stream.getvalue()


class FairSample:
    """Keeps the first thumbnails of each class, up to a total number.

    A class only has more thumbnails than another one if all images of the other one are
    kept.
    """

    def __init__(self, capacity: int):
        self._capacity = capacity
        self._kept: dict[int, list[Thumbnail]] = collections.defaultdict(list)
        self._size = 0

    def wants(self, label: int) -> bool:
        """Returns whether one more of a class would be kept."""
        if self._size < self._capacity:
            return True
        longest = max(map(len, self._kept.values()), default=0)
        return len(self._kept[label]) + 1 < longest

    def add(self, label: int, thumbnail: Thumbnail) -> None:
        """Adds a wanted thumbnail; the largest class may lose its last one."""
        if self._size == self._capacity:
            max(self._kept.values(), key=len).pop()
            self._size -= 1
        self._kept[label].append(thumbnail)
        self._size += 1

    def by_label(self) -> dict[int, list[Thumbnail]]:
        """Returns the kept thumbnails of each class, in the order of their addition."""
        return {label: kept for label, kept in sorted(self._kept.items()) if kept}


@dataclasses.dataclass(frozen=True)
class SplitSurvey:
    """The images of a split, as columns with one value for each image.

    Attributes:
      name: of the split.
      fingerprint: the SHA-256 of the sorted names of the images.
      labels: 0 to 999.
      widths: in pixels.
      heights: in pixels.
      num_bytes: of the encoded image.
      thumbnails: of some images, by label.
    """

    name: str
    fingerprint: str
    labels: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    num_bytes: np.ndarray
    thumbnails: Mapping[int, list[Thumbnail]]

    @property
    def per_class(self) -> np.ndarray:
        """The number of images of each of the 1,000 classes."""
        return np.bincount(self.labels, minlength=len(class_names()))


def survey_split(
    dataset: PreparedDataset, split: str, max_thumbnails: int
) -> SplitSurvey:
    """Reads all records of a split, with a progress bar.

    Args:
      dataset: the dataset.
      split: the name of the split.
      max_thumbnails: how many thumbnails to make for all classes together.

    Raises:
      DatasetError: if a shard cannot be read, or an image's header is damaged.
    """
    names: list[str] = []
    columns: list[tuple[int, int, int, int]] = []
    thumbnails = FairSample(max_thumbnails)
    total = dataset.splits[split].num_examples
    with progress_bar(total=total, desc=f"Reading {split}", unit=" images") as bar:
        for number, path in enumerate(dataset.shard_paths(split)):
            for record in read_shard(dataset, split, number):
                try:
                    columns.append(_measure(record))
                    if thumbnails.wants(record.label):
                        thumbnail = make_thumbnail(record.name, record.image)
                        thumbnails.add(record.label, thumbnail)
                except Exception as error:  # Damage can cause any kind of error.
                    problem = f"{record.name}: {first_line(error)}"
                    raise damaged(path, problem) from error
                names.append(record.name)
                bar.update()
    labels, widths, heights, num_bytes = np.array(columns, np.int64).reshape(-1, 4).T
    return SplitSurvey(
        name=split,
        fingerprint=fingerprint(names),
        labels=labels,
        widths=widths,
        heights=heights,
        num_bytes=num_bytes,
        thumbnails=thumbnails.by_label(),
    )


def _measure(record: Record) -> tuple[int, int, int, int]:
    """Returns an image's label, width, height and number of bytes."""
    if not 0 <= record.label < len(class_names()):
        raise ValueError(f"its label is {record.label}")
    with Image.open(io.BytesIO(record.image)) as image:  # Only reads the header.
        return record.label, *image.size, len(record.image)
