"""What the package knows of ImageNet is what TFDS's builder of ImageNet knows."""

from __future__ import annotations

from tensorflow_datasets.datasets.imagenet2012 import (
    imagenet2012_dataset_builder as theirs,
)

from imagenet2012_subset.imagenet import jpeg


def test_the_same_images_are_converted():
    assert sorted(theirs.CMYK_IMAGES) == sorted(jpeg.CMYK_IMAGES)
    assert sorted(theirs.PNG_IMAGES) == sorted(jpeg.PNG_IMAGES)
