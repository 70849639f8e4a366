"""An existing dataset is reused only if it was built from what is requested.

That of a published config has only the files of TFDS, so that counts identify it.
"""

from __future__ import annotations

import json
import pathlib
import pickle
from collections.abc import Iterator
from unittest import mock

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetListError, WriteError
from tests.builds.conftest import Web
from tests.conftest import read_split
from tests.shared import tfds_builder
from tests.shared.final_place import contents, names_in

_OVERWRITE = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS


def _shards(builder) -> dict[str, list[int]]:
    return {name: split.shard_lengths for name, split in builder.info.splits.items()}


def _names(builder, split="train"):
    return sorted(name for name, _, _ in read_split(builder, split))


@pytest.fixture
def other_list(small_data, tmp_path) -> pathlib.Path:
    path = tmp_path / "other.txt"
    names = [name for images in small_data.training.values() for name, _ in images]
    path.write_text("\n".join(name for name in names if name not in small_data.listed))
    return path


@pytest.fixture
def lists(web, small_data, other_list) -> Web:
    """Serves list.txt, other.txt with other images, and same.txt."""
    text = small_data.subset_list.read_bytes()
    web.texts = {"list.txt": text, "same.txt": text}
    web.texts["other.txt"] = other_list.read_bytes()
    return web


def test_a_different_list_of_the_same_config(build, final, other_list, small_data):
    build()
    before = contents(final)
    with pytest.raises(
        SubsetListError, match=r"not the list that .* was built from"
    ) as raised:
        build(subset_list=other_list)
    assert raised.value.path == str(other_list)
    assert "another name" in raised.value.remedy
    assert "REUSE_CACHE_IF_EXISTS" in raised.value.remedy
    assert contents(final) == before
    again = build(subset_list=other_list, download_mode=_OVERWRITE)
    assert _names(again) == sorted(other_list.read_text().split())
    with pytest.raises(SubsetListError):
        build()


@pytest.mark.parametrize("name", ["other.txt", "list.txt"])
def test_a_different_list_behind_a_url(build, lists, name):
    first = build(subset_list=lists.url("list.txt"))
    assert _names(build(subset_list=lists.url("same.txt"))) == _names(first)
    lists.texts["list.txt"] = lists.texts["other.txt"]
    with pytest.raises(SubsetListError, match=r"not the list that .* was built from"):
        build(subset_list=lists.url(name))


def test_a_list_behind_a_url_without_internet(build, lists, tmp_path):
    first = build(subset_list=lists.url("list.txt"))
    lists.length = 10_000  # The connection ends early.
    assert _names(build(subset_list=lists.url("list.txt"))) == _names(first)
    lists.texts.clear()
    assert _names(build(subset_list=lists.url("list.txt"))) == _names(first)
    with pytest.raises(WriteError, match="has 6 train images, but 2 are requested"):
        build(subset_list=lists.url("list.txt"), max_examples_per_split=2)
    with pytest.raises(SubsetListError, match="cannot be downloaded") as raised:
        build(subset_list=lists.url("same.txt"))
    name = "imagenet2012_subset/small"
    assert f'tfds.load("{name}")' in raised.value.remedy
    lists.requested.clear()
    assert len(tfds.load(name, split="train", data_dir=tmp_path / "data")) == 6
    assert not lists.requested


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ({}, {"max_examples_per_split": 2}, "has 6 train images, but 2"),
        ({"max_examples_per_split": 0}, {}, "has 0 train images, but 6"),
        ({"ignore_duplicates": True}, {}, "was built with ignore_duplicates"),
        ({}, {"nondeterministic_order": True}, "has its images in TFDS's order"),
    ],
)
def test_different_options(build, final, first, second, problem):
    if "nondeterministic_order" in second and not hasattr(
        tfds.download.DownloadConfig(), "nondeterministic_order"
    ):
        pytest.skip("this TFDS has no such option")
    build(**first)
    before = contents(final)
    with pytest.raises(WriteError, match=problem) as raised:
        build(**second)
    assert raised.value.path == str(final)
    assert contents(final) == before
    build(**first)


def test_a_dataset_of_the_first_version_records_only_its_list(build, final, other_list):
    build()
    metadata = json.loads((final / "metadata.json").read_text())
    old = {"training_names_sha256": metadata["training_names_sha256"]}
    (final / "metadata.json").write_text(json.dumps(old))
    build()
    with pytest.raises(SubsetListError):
        build(subset_list=other_list)
    with pytest.raises(WriteError, match="has 5 validation images"):
        build(validation_images=4)


def test_damaged_infos(build, final):
    first = build()
    (final / "dataset_info.json").write_text("{")
    for options in ({}, {"download_mode": _OVERWRITE}):
        with pytest.raises(WriteError, match=r"dataset_info.json: is damaged"):
            build(**options)
    # A builder that was created before the damage can overwrite the dataset.
    with pytest.raises(WriteError, match=r"dataset_info.json: is damaged"):
        first.download_and_prepare()
    build(first, download_mode=_OVERWRITE)
    assert len(read_split(first, "train")) == 6


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize(
    "options", [{"num_shards": 2}, {"file_format": "array_record"}]
)
def test_without_locks_another_build_is_faster(build, once_built, final, options):
    winners = []
    once_built(lambda: winners.append(build()))
    loser = build(**options)
    assert _shards(loser) == _shards(winners[0])
    assert names_in(final.parent) == ["5.0.0"]
    assert len(_names(winners[0])) == 6
    if "file_format" in options:
        assert len(loser.as_data_source(split="train")) == 6


def test_a_builder_created_before_the_dataset_existed(build, small_builder):
    early = small_builder()
    built = build(num_shards=2)
    early.download_and_prepare()
    assert _shards(early) == _shards(built)
    assert read_split(early, "train") == read_split(built, "train")


def test_a_pickled_builder_keeps_its_arguments(build, small_builder):
    builder = small_builder(workers=3, file_format="array_record")
    other = pickle.loads(pickle.dumps(builder))
    assert other._workers == 3
    build(other)
    assert list(other.data_path.glob("*array_record*"))
    assert not list(other.data_path.glob("*tfrecord*"))
    assert len(pickle.loads(pickle.dumps(other)).info.splits) == 2


class _Published:
    """Builds config `1pct`, cut down to the small data."""

    def __init__(self, build, small_data, data_dir: pathlib.Path):
        self._build = build
        self._data = small_data
        self.data_dir = data_dir
        self.folder = data_dir / "imagenet2012_subset" / "1pct" / "5.0.0"

    def builder(self) -> imagenet2012_subset.Builder:
        return imagenet2012_subset.Builder(config="1pct", data_dir=self.data_dir)

    def build(self, **options) -> imagenet2012_subset.Builder:
        return self._build(self.builder(), **options)

    def build_theirs(self) -> dict[str, bytes]:
        data = self._data
        tfds_builder.build("1pct", data.manual_dir, data.subset_list, self.data_dir)
        return contents(self.folder)


@pytest.fixture
def published(build, small_data, tmp_path) -> Iterator[_Published]:
    config = imagenet2012_subset.Builder.builder_configs["1pct"]
    with (
        mock.patch.multiple(config, training_images=6, validation_images=5),
        mock.patch.object(
            tfds.download.DownloadManager,
            "download",
            return_value=str(small_data.subset_list),
        ),
    ):
        yield _Published(build, small_data, tmp_path / "data")


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
    options = tfds.download.DownloadConfig(max_examples_per_split=2)
    loaded = tfds.load(
        "imagenet2012_subset/1pct",
        split="train",
        data_dir=published.data_dir,
        download_and_prepare_kwargs={"download_config": options},
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
