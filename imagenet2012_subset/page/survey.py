"""Reads every record once: sizes of all images, thumbnails of some."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from imagenet2012_subset.errors import first_line
from imagenet2012_subset.imagenet.class_names import class_names
from imagenet2012_subset.page.prepared import damaged
from imagenet2012_subset.page.sample import FairSample
from imagenet2012_subset.page.thumbnail import Thumbnail, make_thumbnail
from imagenet2012_subset.subset.subset_list import fingerprint
from imagenet2012_subset.tfds_internals import FileFormat, tqdm


@dataclasses.dataclass(frozen=True)
class SplitSurvey:
    """What is in a split, in columns of one value for each image.

    Attributes:
      name: of the split.
      fingerprint: a SHA-256 of the images' names, whatever their order.
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
        """How many images each of the 1,000 classes has."""
        return np.bincount(self.labels, minlength=len(class_names()))

    @property
    def pixels(self) -> np.ndarray:
        """Width times height of each image."""
        return self.widths * self.heights


def survey_split(
    builder: tfds.core.DatasetBuilder, split: str, most_thumbnails: int
) -> SplitSurvey:
    """Reads a split, under a progress bar.

    Args:
      builder: of a prepared dataset.
      split: its name.
      most_thumbnails: how many images to make small, of all classes alike.

    Raises:
      DatasetError: if a record is missing or cannot be read, or its image's header.
    """
    names: list[str] = []
    columns: list[tuple[int, int, int, int]] = []
    thumbnails = FairSample[Thumbnail](most_thumbnails)
    total = builder.info.splits[split].num_examples
    position = f"the split {split!r} cannot be read"
    try:
        with tqdm(total=total, desc=f"Reading {split}", unit=" images") as bar:
            for example in _examples(builder, split):
                name, data = _text(example["file_name"]), bytes(example["image"])
                position = f"{name} in the split {split!r} cannot be shown"
                label = int(example["label"])
                if not 0 <= label < len(class_names()):
                    raise ValueError(f"its label is {label}")
                with Image.open(io.BytesIO(data)) as image:  # Reads its header alone.
                    columns.append((label, *image.size, len(data)))
                names.append(name)
                if thumbnails.wants(label):
                    thumbnails.add(label, make_thumbnail(name, data))
                position = f"what follows {name} in the split {split!r} cannot be read"
                bar.update()
    except Exception as error:  # What a damaged file raises depends on its format.
        raise damaged(builder.data_dir, f"{position} ({first_line(error)})") from error
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


def _examples(
    builder: tfds.core.DatasetBuilder, split: str
) -> Iterator[Mapping[str, Any]]:
    decoders = {"image": tfds.decode.SkipDecoding()}
    if builder.info.file_format == FileFormat.ARRAY_RECORD:
        yield from builder.as_data_source(split=split, decoders=decoders)
    else:
        # One file after the other: the first images are the first of the dataset.
        in_order = tfds.ReadConfig(interleave_cycle_length=1)
        dataset = builder.as_dataset(
            split=split, decoders=decoders, read_config=in_order
        )
        yield from dataset.as_numpy_iterator()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
