"""The two archives, the 1,000 classes, and the name and class of each image."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import tensorflow_datasets as tfds
from etils import epath

NUM_VALIDATION_IMAGES = 50_000
# Task 3, the classification of dogs, has an archive of its training images.
NUM_TASK_3_SYNSETS = 120

_TAR_BLOCK = 512

_WNID = re.compile(r"n\d{8}", re.ASCII)
_TRAINING_NAME = re.compile(r"(n\d{8})_\d{1,10}\.JPEG", re.ASCII)
_VALIDATION_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG", re.ASCII)

_STEM = rb"(n\d{8}_\d{1,10}|ILSVRC2012_(?:val|test)_\d{8})"
_IMAGE_NAME = re.compile(_STEM + rb"\.JPEG")

# A path to an image of any split and synset. The groups are the name without its
# suffix, and the wnid that the archives on the Hugging Face hub append.
_IMAGE_PATH = re.compile(rb"(?:.*/)?" + _STEM + rb"(?:_(n\d{8}))?\.JPEG", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Original:
    """An archive as ImageNet publishes it.

    Attributes:
      file_name: its name on the download page.
      what: its description on the download page.
      split: the name of its split in datasets.
      size: its length in bytes.
      sha256: of its bytes, in hexadecimal.
      num_images: how many images it contains.
    """

    file_name: str
    what: str
    split: str
    size: int
    sha256: str
    num_images: int

    @property
    def mean_image_bytes(self) -> float:
        """The average length of an image in bytes."""
        # A tar has a header before each image, and on average half a block after it.
        return self.size / self.num_images - 1.5 * _TAR_BLOCK

    @property
    def how_to_get(self) -> str:
        """How to get the archive, for error messages."""
        return (
            "Register on https://image-net.org/download-images, download "
            f"{self.file_name} (ILSVRC 2012, {self.what}) and place it there"
        )


# Sizes and hashes are those of the files on image-net.org.
TRAINING = Original(
    "ILSVRC2012_img_train.tar",
    "training images, tasks 1 and 2",
    "train",
    147_897_477_120,
    "b08200a27a8e34218a0e58fde36b0fe8f73bc377f4acea2d91602057c3ca45bb",
    1_281_167,
)
VALIDATION = Original(
    "ILSVRC2012_img_val.tar",
    "validation images, all tasks",
    "validation",
    6_744_924_160,
    "c7e06a6c0baccf06d8dbeb6577d71efff84673a5dbdd50633ab44f8ea0456ae0",
    NUM_VALIDATION_IMAGES,
)


def wnids_file() -> epath.Path:
    """Returns the path of the list of WordNet ids; line i, from 0, is label i."""
    return epath.Path(tfds.core.tfds_path("datasets/imagenet2012/labels.txt"))


@functools.cache
def wnids() -> tuple[str, ...]:
    """Returns the 1,000 WordNet ids in sorted order; the label is the rank."""
    return tuple(wnids_file().read_text().split())


@functools.cache
def validation_wnids() -> tuple[str, ...]:
    """Returns 50,000 WordNet ids: index i - 1 is the class of validation image i."""
    path = tfds.core.tfds_path("datasets/imagenet2012/validation_labels.txt")
    return tuple(path.read_text().split())


def training_wnid(name: str) -> str | None:
    """Returns the class that a training image's name starts with.

    None if it is not a training image's name, or its synset is not among the 1,000.
    """
    match = _TRAINING_NAME.fullmatch(name)
    return match[1] if match and match[1] in _known_wnids() else None


def validation_number(name: str) -> int | None:
    """Returns the number in a validation image's name; None for any other name."""
    match = _VALIDATION_NAME.fullmatch(name)
    return int(match[1]) if match else None


def find_wnid(name: str) -> str | None:
    """Returns the class of a training or validation image.

    A validation image's class follows from its number.

    Returns:
      The WordNet id; None if ImageNet has no labelled image with this name.
    """
    number = validation_number(name)
    if number is None:
        return training_wnid(name)
    if not 1 <= number <= NUM_VALIDATION_IMAGES:
        return None
    return validation_wnids()[number - 1]


def wnid(name: str) -> str:
    """Returns the class of a training or validation image; see `find_wnid`.

    Raises:
      ValueError: if ImageNet has no labelled image with this name.
    """
    if not (found := find_wnid(name)):
        raise ValueError(f"{name!r} is not the name of a training or validation image")
    return found


LabelOf = Callable[[bytes], "int | None"]
"""Returns the label of an image's name; None for an unknown name."""


@functools.cache
def label_function(original: Original) -> LabelOf:
    """Returns a function that maps the names of a split's images to labels."""
    rank = {wnid: rank for rank, wnid in enumerate(wnids())}
    if original == TRAINING:
        by_wnid = {wnid.encode(): label for wnid, label in rank.items()}
        return lambda name: by_wnid.get(name[:9]) if name.isascii() else None
    return {
        validation_name(number).encode(): rank[wnid]
        for number, wnid in enumerate(validation_wnids(), start=1)
    }.get


class ImagePath(NamedTuple):
    """The parts of the path of an image.

    Attributes:
      name: the image's name in ImageNet, such as `n01440764_18.JPEG`.
      appended: the wnid appended to it, as in `n01440764_18_n01440764.JPEG`.
    """

    name: bytes
    appended: bytes | None


def parse_path(path: bytes) -> ImagePath | None:
    """Parses the last part of a path; returns None if it does not name an image."""
    if not (match := _IMAGE_PATH.fullmatch(path)):
        return None
    return ImagePath(match[1] + b".JPEG", match[2])


def are_image_names(paths: Iterable[bytes]) -> bool:
    """Returns whether all paths are an image's name, without folders or a suffix."""
    return all(map(_IMAGE_NAME.fullmatch, paths))


def is_wnid(name: str) -> bool:
    """Returns whether a name is a WordNet id of any synset, also beyond the 1,000."""
    return _WNID.fullmatch(name) is not None


def mismatched_wnid(name: str, claimed: str) -> str | None:
    """Returns an image's class if it differs from that of its folder or suffix.

    None if they agree, or if the image has no known class.
    """
    truth = find_wnid(name)
    return truth if truth != claimed else None


def validation_name(number: int) -> str:
    """Returns the name of validation image `number`, counted from 1."""
    return f"ILSVRC2012_val_{number:08d}.JPEG"


@functools.cache
def _known_wnids() -> frozenset[str]:
    return frozenset(wnids())
