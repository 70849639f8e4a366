"""The two archives as ImageNet publishes them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from imagenet2012_subset.imagenet import names

_TAR_BLOCK = 512


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
    names.NUM_VALIDATION_IMAGES,
)

LabelOf = Callable[[bytes], "int | None"]
"""Returns the label of an image's name; None for an unknown name."""


@functools.cache
def label_function(original: Original) -> LabelOf:
    """Returns a function that maps the names of a split's images to labels."""
    rank = {wnid: rank for rank, wnid in enumerate(names.wnids())}
    if original == TRAINING:
        by_wnid = {wnid.encode(): label for wnid, label in rank.items()}
        return lambda name: by_wnid.get(name[:9]) if name.isascii() else None
    return {
        names.validation_name(number).encode(): rank[wnid]
        for number, wnid in enumerate(names.validation_wnids(), start=1)
    }.get
