"""Opens what the page is to show, or says why it cannot."""

from __future__ import annotations

import os

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import DatasetError, first_line
from imagenet2012_subset.imagenet.class_names import class_name, class_names

_FEATURES = ("file_name", "image", "label")


def open_prepared(path: os.PathLike[str] | str) -> tfds.core.DatasetBuilder:
    """Returns the builder of a prepared dataset of ImageNet's classes, which reads it.

    Args:
      path: the folder with `dataset_info.json`.

    Raises:
      DatasetError: if there is no dataset, it cannot be read or is another one.
    """
    folder = epath.Path(path)
    if not (folder / "dataset_info.json").exists():
        raise DatasetError(
            folder,
            "has no dataset_info.json" if folder.exists() else "does not exist",
            "Give the folder of a version of a prepared dataset, such as "
            "~/tensorflow_datasets/imagenet2012_subset/1pct/5.0.0",
        )
    try:
        builder = tfds.builder_from_directory(folder)
        splits = builder.info.splits
    except Exception as error:  # What a damaged file raises depends on the damage.
        raise damaged(folder, f"cannot be opened ({first_line(error)})") from error
    if not _has_classes_of_imagenet(builder.info.features):
        raise DatasetError(
            folder,
            "is no dataset of ImageNet's 1,000 classes with the features "
            + ", ".join(_FEATURES),
            "Give the folder of one that imagenet2012_subset has built",
        )
    if not splits or not splits.total_num_examples:
        raise damaged(folder, "has no records")
    return builder


def damaged(path: os.PathLike[str] | str, problem: str) -> DatasetError:
    """Returns the error of a dataset that is not as it was built."""
    return DatasetError(path, problem, "Build the dataset again")


def _has_classes_of_imagenet(features: tfds.features.FeatureConnector) -> bool:
    if not isinstance(features, tfds.features.FeaturesDict):
        return False
    if not set(_FEATURES) <= set(features):
        return False
    try:
        named = [class_name(wnid) for wnid in features["label"].names]
    except (AttributeError, TypeError, ValueError):
        return False
    return named == list(class_names())
