"""Of the published configs a dataset has the files of TFDS alone; the counts tell."""

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

    def builder(self, **keywords) -> imagenet2012_subset.Builder:
        return imagenet2012_subset.Builder(
            config="1pct", data_dir=self.data_dir, **keywords
        )

    def build(self, **options) -> imagenet2012_subset.Builder:
        builder = self.builder()
        builder.download_and_prepare(download_config=self.config(**options))
        return builder

    def config(self, **options) -> tfds.download.DownloadConfig:
        return tfds.download.DownloadConfig(manual_dir=self._data.manual_dir, **options)

    def build_theirs(self) -> pathlib.Path:
        builder = tfds_builder.build(
            "1pct", self._data.manual_dir, self._data.subset_list, self.data_dir
        )
        return pathlib.Path(builder.data_path)


@pytest.fixture
def published(small_data, tmp_path) -> Iterator[_Published]:
    (config,) = (
        c for c in imagenet2012_subset.Builder.BUILDER_CONFIGS if c.name == "1pct"
    )
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
    folder = published.build_theirs()
    before = contents(folder)
    ours = published.build()
    assert ours.is_prepared()
    assert len(read_split(ours, "train")) == 6
    assert contents(folder) == before


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_incomplete_dataset_of_tfds_is_refused(published, small_data, split):
    if split == "train":
        del small_data.training["n01443537"]
    else:
        small_data.validation.pop()
    small_data.write()
    folder = published.build_theirs()
    before = contents(folder)
    with pytest.raises(WriteError, match=f"has 4 {split} image") as raised:
        published.build()
    assert raised.value.path == str(folder)
    assert f"check {folder}" in raised.value.remedy
    assert "REUSE_CACHE_IF_EXISTS" in raised.value.remedy
    assert not published.builder().is_prepared()
    with pytest.raises(WriteError, match=f"has 4 {split} image"):
        tfds.load("imagenet2012_subset/1pct", data_dir=published.data_dir)
    assert contents(folder) == before


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
    folder = published.build_theirs()
    theirs = {path.name for path in folder.iterdir()}
    info = json.loads((folder / "dataset_info.json").read_text())
    info.pop("releaseNotes")  # Of TFDS's own earlier versions.
    (folder.parent.parent / ".config" / "metadata.json").unlink()
    published.build(download_mode=_OVERWRITE)
    assert {path.name for path in folder.iterdir()} == theirs
    assert json.loads((folder / "dataset_info.json").read_text()).keys() == info.keys()
    assert (folder.parent.parent / ".config" / "metadata.json").exists()
