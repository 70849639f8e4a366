"""A dataset of a published config has only the files of TFDS; counts identify it."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from unittest import mock

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import WriteError
from tests.conftest import read_split
from tests.shared import tfds_builder
from tests.shared.final_place import contents

_OVERWRITE = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS


class _Published:
    """Builds config `1pct`, cut down to the small data."""

    def __init__(self, small_data, data_dir: pathlib.Path):
        self._data = small_data
        self.data_dir = data_dir
        self.folder = data_dir / "imagenet2012_subset" / "1pct" / "5.0.0"

    def config(self, **options) -> tfds.download.DownloadConfig:
        return tfds.download.DownloadConfig(manual_dir=self._data.manual_dir, **options)

    def builder(self) -> imagenet2012_subset.Builder:
        return imagenet2012_subset.Builder(config="1pct", data_dir=self.data_dir)

    def build(self, **options) -> imagenet2012_subset.Builder:
        builder = self.builder()
        builder.download_and_prepare(download_config=self.config(**options))
        return builder

    def build_theirs(self) -> dict[str, bytes]:
        data = self._data
        tfds_builder.build("1pct", data.manual_dir, data.subset_list, self.data_dir)
        return contents(self.folder)


@pytest.fixture
def published(small_data, tmp_path) -> Iterator[_Published]:
    config = imagenet2012_subset.Builder.builder_configs["1pct"]
    with (
        mock.patch.multiple(config, training_images=6, validation_images=5),
        mock.patch.object(
            tfds.download.DownloadManager,
            "download",
            return_value=str(small_data.subset_list),
        ),
    ):
        yield _Published(small_data, tmp_path / "data")


def test_a_whole_dataset_of_tfds_is_taken(published):
    before = published.build_theirs()
    ours = published.build()
    assert ours.is_prepared()
    assert len(read_split(ours, "train")) == 6
    assert contents(published.folder) == before


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_incomplete_dataset_of_tfds_is_refused(published, small_data, split):
    if split == "train":
        del small_data.training["n01443537"]
    else:
        small_data.validation.pop()
    small_data.write()
    before = published.build_theirs()
    with pytest.raises(WriteError, match=f"has 4 {split} image") as raised:
        published.build()
    assert raised.value.path == str(published.folder)
    assert f"check {published.folder}" in raised.value.remedy
    assert "REUSE_CACHE_IF_EXISTS" in raised.value.remedy
    assert not published.builder().is_prepared()
    with pytest.raises(WriteError, match=f"has 4 {split} image"):
        tfds.load("imagenet2012_subset/1pct", data_dir=published.data_dir)
    assert contents(published.folder) == before


def test_a_published_config_that_was_cut(published):
    cut = published.build(max_examples_per_split=2)
    assert cut.is_prepared()
    assert len(read_split(published.build(max_examples_per_split=2), "train")) == 2
    assert not published.builder().is_prepared()
    with pytest.raises(WriteError, match="has 2 train images, but 6 are requested"):
        published.build()
    loaded = tfds.load(
        "imagenet2012_subset/1pct",
        split="train",
        data_dir=published.data_dir,
        download_and_prepare_kwargs={
            "download_config": published.config(max_examples_per_split=2)
        },
    )
    assert len(loaded) == 2


def test_a_published_config_has_the_files_of_tfds_alone(published):
    theirs = published.build_theirs()
    info = json.loads(theirs["dataset_info.json"])
    info.pop("releaseNotes")  # Of TFDS's own earlier versions.
    default_config = published.folder.parents[1] / ".config" / "metadata.json"
    default_config.unlink()
    published.build(download_mode=_OVERWRITE)
    ours = contents(published.folder)
    assert ours.keys() == theirs.keys()
    assert json.loads(ours["dataset_info.json"]).keys() == info.keys()
    assert default_config.exists()
