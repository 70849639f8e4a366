"""What a prepared dataset ought to hold, from what is known without internet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from imagenet2012_subset.check.files import read_json
from imagenet2012_subset.errors import SubsetListError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.subset.subset_list import (
    PUBLISHED_FINGERPRINTS,
    fingerprint,
    read_subset_list,
)

# What the builder notes in a dataset's `metadata.json`.
_TRAINING_NAMES = "training_names_sha256"
_VALIDATION_IMAGES = "validation_images"
_MAX_EXAMPLES = "max_examples_per_split"

# The list of all training images is no larger.
_MAX_LIST_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Expected:
    """The images that a dataset ought to hold.

    Attributes:
      training: the names of the training images; None if they are not at hand.
      training_sha256: their `fingerprint`; None if it is not known.
      num_validation: the validation images are numbered from 1 to this.
      is_number_known: whether that was noted or given, and not just taken to be all.
      max_examples: no split has more, whichever they are; None for all images.
    """

    training: Sequence[str] | None
    training_sha256: str | None
    num_validation: int
    is_number_known: bool
    max_examples: int | None = None

    def names_of(self, split: str) -> Sequence[str] | None:
        """Returns the names of a split's images; None if they are not at hand."""
        if split == "train":
            return self.training
        return [names.validation_name(n) for n in range(1, self.num_validation + 1)]


def expected_of(
    folder: epath.Path,
    listed: Sequence[str] | None = None,
    num_validation: int | None = None,
    lists_in: Iterable[epath.Path] = (),
) -> Expected:
    """Finds out what a dataset ought to hold.

    Nothing is downloaded: the fingerprints of the published lists are known, and the
    builder notes that of any other list with the dataset.

    Args:
      folder: the dataset.
      listed: the names of its training images, if the user says them.
      num_validation: how many validation images it ought to hold, if the user says so;
        else as many as the builder noted with the dataset, else all 50,000.
      lists_in: folders where its list may lie, under any name that ends in `.txt`.
    """
    noted = read_json(folder / "metadata.json")
    config = str(read_json(folder / "dataset_info.json").get("configName"))
    sha256 = PUBLISHED_FINGERPRINTS.get(config) or _noted_sha256(noted)
    max_examples = None
    if config in PUBLISHED_FINGERPRINTS:
        num_validation = num_validation or names.NUM_VALIDATION_IMAGES
    else:
        noted_number = _number(noted, _VALIDATION_IMAGES)
        if noted_number and noted_number <= names.NUM_VALIDATION_IMAGES:
            num_validation = num_validation or noted_number
        max_examples = _number(noted, _MAX_EXAMPLES)
    if listed is None and sha256 is not None:
        listed = _find_list(sha256, lists_in)
    return Expected(
        listed,
        sha256,
        num_validation or names.NUM_VALIDATION_IMAGES,
        is_number_known=num_validation is not None,
        max_examples=max_examples,
    )


def _noted_sha256(noted: Mapping[str, Any]) -> str | None:
    sha256 = noted.get(_TRAINING_NAMES)
    return sha256 if isinstance(sha256, str) else None


def _number(noted: Mapping[str, Any], key: str) -> int | None:
    number = noted.get(key)
    return number if isinstance(number, int) and number > 0 else None


def _find_list(sha256: str, folders: Iterable[epath.Path]) -> Sequence[str] | None:
    for folder in folders:
        for path in sorted(folder.glob("*.txt")):
            try:
                if path.stat().length > _MAX_LIST_BYTES:
                    continue
                listed = read_subset_list(path)
            except (OSError, SubsetListError):
                continue
            if fingerprint(listed) == sha256:
                return listed
    return None
