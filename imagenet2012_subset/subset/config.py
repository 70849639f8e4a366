"""What distinguishes one subset from another."""

from __future__ import annotations

import dataclasses
import os
import re

import tensorflow_datasets as tfds

from imagenet2012_subset.imagenet.names import NUM_VALIDATION_IMAGES

_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*")


@dataclasses.dataclass(eq=False)
class SubsetConfig(tfds.core.BuilderConfig):
    """A subset of ImageNet's training images, with all validation images.

    Attributes:
      name: becomes a folder: `<data_dir>/imagenet2012_subset/<name>/5.0.0/`.
      subset_list: path or URL of a text file with a training image's name on each
        line.
      training_images: how many names the list must have; None for any number.
      validation_images: how many images the validation archive must hold, numbered
        from 1. Fewer than the original's 50,000 make a smaller dataset for trying
        things out.
    """

    description: str | None = None
    subset_list: str = ""
    training_images: int | None = None
    validation_images: int = NUM_VALIDATION_IMAGES

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          ValueError: if one of them cannot be, such as a name with a slash.
        """
        self.subset_list = os.fspath(self.subset_list)
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"SubsetConfig's name becomes a folder: {self.name!r} should be "
                "letters, digits, '_', '.' and '-'"
            )
        if not self.subset_list:
            raise ValueError(
                f"SubsetConfig {self.name!r} has no subset_list: give the path or URL "
                "of a file with a training image's name on each line"
            )
        if not 1 <= self.validation_images <= NUM_VALIDATION_IMAGES:
            raise ValueError(
                f"SubsetConfig's validation_images is {self.validation_images}: there "
                f"are 1 to {NUM_VALIDATION_IMAGES:,}"
            )
        if self.description is None:
            self.description = f"Training images listed in {self.subset_list}."

    def __str__(self) -> str:
        """TFDS shows it in the first line that a user reads."""
        return f"{self.name}, the training images listed in {self.subset_list}"

    @property
    def is_remote(self) -> bool:
        """Whether the list is to be downloaded."""
        return self.subset_list.startswith(("http://", "https://", "ftp://"))
