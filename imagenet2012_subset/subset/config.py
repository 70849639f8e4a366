"""The config of a subset."""

from __future__ import annotations

import dataclasses
import operator
import os
import re
from typing import Any

import tensorflow_datasets as tfds

from imagenet2012_subset.imagenet.names import NUM_VALIDATION_IMAGES

_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*")


@dataclasses.dataclass(eq=False)
class SubsetConfig(tfds.core.BuilderConfig):
    """A subset of ImageNet's training images, with all validation images.

    Attributes:
      name: the name of its folder, `<data_dir>/imagenet2012_subset/<name>/5.0.0/`.
      subset_list: path or URL of a text file with a training image's name on each
        line.
      training_images: the required number of names in the list; None for any number.
      validation_images: the number of validation images, numbered from 1. Use fewer
        than the original 50,000 to try things out on a smaller dataset.
    """

    description: str | None = None
    subset_list: str = ""
    training_images: int | None = None
    validation_images: int = NUM_VALIDATION_IMAGES

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          TypeError: if an argument has the wrong type.
          ValueError: if a value is invalid, such as a name with a slash.
        """
        if not isinstance(self.name, str):
            raise _wrong_type("name", self.name, "a string")
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"SubsetConfig's name becomes a directory: {self.name!r} must start "
                "with a letter or digit and contain only those, '_', '.' and '-'"
            )
        try:
            self.subset_list = os.fspath(self.subset_list)
        except TypeError as error:
            expected = "a path or URL"
            raise _wrong_type("subset_list", self.subset_list, expected) from error
        if not self.subset_list:
            raise ValueError(
                f"SubsetConfig {self.name!r} has no subset_list: give the path or URL "
                "of a file with a training image's name on each line"
            )
        self.validation_images = _integer("validation_images", self.validation_images)
        if not 1 <= self.validation_images <= NUM_VALIDATION_IMAGES:
            raise ValueError(
                f"SubsetConfig's validation_images is {self.validation_images}: it "
                f"must be 1 to {NUM_VALIDATION_IMAGES:,}"
            )
        if self.training_images is not None:
            self.training_images = _integer("training_images", self.training_images)
            if self.training_images < 1:
                raise ValueError(
                    f"SubsetConfig's training_images is {self.training_images}: it "
                    "must be positive, or None for any number"
                )
        if self.description is None:
            self.description = f"Training images listed in {self.subset_list}."

    def __str__(self) -> str:
        """Names the config in TFDS's first log line."""
        return f"{self.name}, the training images listed in {self.subset_list}"

    @property
    def is_remote(self) -> bool:
        """Whether the list must be downloaded."""
        return self.subset_list.startswith(("http://", "https://", "ftp://"))


def _integer(argument: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError("a bool is not a number of images")
        return operator.index(value)
    except TypeError as error:
        raise _wrong_type(argument, value, "an integer") from error


def _wrong_type(argument: str, value: Any, expected: str) -> TypeError:
    return TypeError(f"SubsetConfig's {argument} is {value!r}: it must be {expected}")
