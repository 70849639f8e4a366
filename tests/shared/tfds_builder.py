"""TFDS's own builders, as the oracle of what is right."""

from __future__ import annotations

import pathlib
from typing import Any
from unittest import mock

import tensorflow_datasets as tfds
from tensorflow_datasets.core import registered

from imagenet2012_subset.imagenet.names import wnids_file

with registered.skip_registration():
    from tensorflow_datasets.datasets.imagenet2012 import imagenet2012_dataset_builder
    from tensorflow_datasets.datasets.imagenet2012_subset import (
        imagenet2012_subset_dataset_builder,
    )


def features_of_the_dataset() -> tfds.features.FeaturesDict:
    return tfds.features.FeaturesDict(
        {
            "file_name": tfds.features.Text(),
            "image": tfds.features.Image(),
            "label": tfds.features.ClassLabel(names_file=wnids_file()),
        }
    )


def build(
    config: str,
    manual_dir: pathlib.Path,
    subset_list: pathlib.Path,
    data_dir: pathlib.Path,
    file_format: str | None = None,
    **download_config: Any,
) -> tfds.core.DatasetBuilder:
    """Builds with TFDS's builder, given a subset list in place of the download."""
    builder = imagenet2012_subset_dataset_builder.Builder(
        config=config, data_dir=data_dir, file_format=file_format
    )
    with mock.patch.object(
        tfds.download.DownloadManager, "download", return_value=str(subset_list)
    ):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir, **download_config
            )
        )
    return builder


def build_imagenet(
    manual_dir: pathlib.Path,
    data_dir: pathlib.Path,
    file_format: str,
    **download_config: Any,
) -> tfds.core.DatasetBuilder:
    """Prepares the whole `imagenet2012` with TFDS's builder."""
    builder = imagenet2012_dataset_builder.Builder(
        data_dir=data_dir, file_format=file_format
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=manual_dir, **download_config
        )
    )
    return builder
