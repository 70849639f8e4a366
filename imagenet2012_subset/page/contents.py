"""What the page tells, as its template takes it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from imagenet2012_subset.imagenet.class_names import class_name
from imagenet2012_subset.imagenet2012_subset_dataset_builder import Builder
from imagenet2012_subset.page.survey import SplitSurvey

_FEW = 4  # Numbers that a sentence can list.
_EXTREMES = 5  # Classes that are named, of those with the fewest and most images.
_PERCENTILES = (0, 5, 50, 95, 100)


class Fact(NamedTuple):
    """A line about the dataset; `is_code` asks for a typewriter's font."""

    term: str
    value: str
    is_code: bool = False

    @property
    def is_link(self) -> bool:
        """Whether the value is an address to go to."""
        return self.value.startswith(("http://", "https://"))


class Shard(NamedTuple):
    """A file of a split; its size is in bytes."""

    file_name: str
    num_images: int
    num_bytes: int


class Split(NamedTuple):
    """A split as a whole.

    Attributes:
      name: of the split.
      num_images: in all.
      num_bytes: of all records.
      mean_bytes: of an image as encoded.
      shards: the files.
      images_per_shard: a number, or the least and the greatest.
      balance: a sentence on how many images a class has.
      fewest: classes with the fewest images and how many, where the sentence does not
        tell.
      most: likewise those with the most.
    """

    name: str
    num_images: int
    num_bytes: int
    mean_bytes: float
    shards: Sequence[Shard]
    images_per_shard: str
    balance: str
    fewest: Sequence[tuple[str, int]]
    most: Sequence[tuple[str, int]]


class Spread(NamedTuple):
    """A quantity's minimum, 5th percentile, median, 95th percentile and maximum."""

    quantity: str
    split: str
    values: Sequence[float]


def describe_dataset(
    builder: tfds.core.DatasetBuilder, surveys: Sequence[SplitSurvey], made: str
) -> list[Fact]:
    """Returns what the dataset is, where it came from and when.

    Args:
      builder: of the dataset.
      surveys: its splits.
      made: when and by what the page was made.
    """
    info = builder.info
    config = Builder.builder_configs.get(info.config_name)
    module = info.module_name or "unknown"
    stat = (builder.data_path / "dataset_info.json").stat()
    built = datetime.datetime.fromtimestamp(stat.mtime, datetime.timezone.utc)
    file_format = info.file_format.value if info.file_format else "unknown"
    facts = [
        Fact("Config", info.config_name or ""),
        Fact("What it is", info.config_description or ""),
        Fact("Training list", config.subset_list if config else "a list of its own"),
        Fact("Version", str(info.version)),
        Fact("Homepage", info.homepage),
        Fact("Built", format_time(built)),
        Fact("Built by", module, is_code=True),
        Fact("Files", f"{file_format}, {info.dataset_size}"),
        *(
            Fact(f"SHA-256, names of {survey.name}", survey.fingerprint, is_code=True)
            for survey in surveys
        ),
        Fact("This page", made),
    ]
    return [fact for fact in facts if fact.value]


def format_time(moment: datetime.datetime) -> str:
    """Returns a time for people, such as `24 November 2026, 07:08 UTC`."""
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def describe_split(builder: tfds.core.DatasetBuilder, survey: SplitSurvey) -> Split:
    """Returns the numbers of a split, and of each of its shards."""
    info = builder.info.splits[survey.name]
    shards = [
        Shard(path.name, length, path.stat().length)
        for path, length in zip(info.filepaths, info.shard_lengths, strict=True)
    ]
    fewest, most = _extremes(survey.per_class)
    return Split(
        name=survey.name,
        num_images=len(survey.labels),
        num_bytes=info.num_bytes,
        mean_bytes=float(survey.num_bytes.mean()),
        shards=shards,
        images_per_shard=range_text(info.shard_lengths),
        balance=_balance(survey.per_class),
        fewest=fewest,
        most=most,
    )


def describe_sizes(surveys: Sequence[SplitSurvey]) -> list[Spread]:
    """Returns how the images' sizes are spread, quantity by quantity."""
    quantities = {
        "Width, pixels": [survey.widths for survey in surveys],
        "Height, pixels": [survey.heights for survey in surveys],
        "Encoded, kB": [survey.num_bytes / 1000 for survey in surveys],
    }
    return [
        Spread(quantity, survey.name, np.percentile(values, _PERCENTILES).tolist())
        for quantity, columns in quantities.items()
        for survey, values in zip(surveys, columns, strict=True)
    ]


def _balance(per_class: np.ndarray) -> str:
    present = per_class[per_class > 0]
    numbers, frequencies = np.unique(present, return_counts=True)
    if len(numbers) <= _FEW:
        parts = [
            f"{_classes(frequency)} {number:,}"
            for number, frequency in zip(numbers, frequencies, strict=True)
        ]
        told = ", ".join(parts)
    else:
        median = f"{np.median(present):,.0f}"
        told = f"{numbers[0]:,} to {numbers[-1]:,}, {median} in the middle"
    missing = len(per_class) - len(present)
    lacking = f" {_classes(missing)} none." if missing else ""
    return f"Images of a class: {told}.{lacking}"


def _classes(number: int) -> str:
    return "1 class has" if number == 1 else f"{number:,} classes have"


def _extremes(
    per_class: np.ndarray,
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Returns the classes with the fewest and the most images, with their number."""
    present = np.flatnonzero(per_class)
    if len(np.unique(per_class)) <= _FEW or len(present) <= 2 * _EXTREMES:
        return [], []
    order = present[np.argsort(per_class[present], kind="stable")]
    named = [(class_name(label), int(per_class[label])) for label in order]
    return named[:_EXTREMES], named[: -_EXTREMES - 1 : -1]


def range_text(numbers: Sequence[int]) -> str:
    """Returns the least and the greatest of some numbers, or their one value."""
    least, greatest = min(numbers), max(numbers)
    return f"{least:,}" if least == greatest else f"{least:,} to {greatest:,}"
