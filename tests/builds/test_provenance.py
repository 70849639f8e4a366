"""An existing dataset is reused only if it was built from what is requested."""

from __future__ import annotations

import json
import pathlib
import pickle

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import SubsetListError, WriteError
from tests.builds.conftest import Web
from tests.conftest import read_split
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
    build(**first)
    assert contents(final) == before
    build(**second, download_mode=_OVERWRITE)
    build(**second)


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


def test_damaged_infos(build, small_data, final):
    first = build()
    (final / "dataset_info.json").write_text("{")
    for options in ({}, {"download_mode": _OVERWRITE}):
        with pytest.raises(WriteError, match=r"dataset_info.json: cannot be read"):
            build(**options)
    # A builder that was created before the damage can overwrite the dataset.
    with pytest.raises(WriteError, match=r"dataset_info.json: cannot be read"):
        first.download_and_prepare()
    first.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=small_data.manual_dir, download_mode=_OVERWRITE
        )
    )
    assert len(read_split(first, "train")) == 6


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, None),
        ({"file_format": "array_record"}, None),
        ({"subset_list": "other"}, SubsetListError),
        ({"max_examples_per_split": 2}, WriteError),
        ({"ignore_duplicates": True, "num_shards": 2}, None),
    ],
)
@pytest.mark.usefixtures("without_locks")
def test_without_locks_another_build_is_faster(
    build, once_built, other_list, final, options, error
):
    if "subset_list" in options:
        options = {"subset_list": other_list}
    winners = []
    once_built(lambda: winners.append(build()))
    if error:
        with pytest.raises(error):
            build(**options)
    else:
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


def test_a_pickled_builder_keeps_its_arguments(small_builder, small_data):
    builder = small_builder(workers=3, file_format="array_record")
    other = pickle.loads(pickle.dumps(builder))
    assert other._workers == 3
    config = tfds.download.DownloadConfig(manual_dir=small_data.manual_dir)
    other.download_and_prepare(download_config=config)
    assert list(other.data_path.glob("*array_record*"))
    assert not list(other.data_path.glob("*tfrecord*"))
    assert len(pickle.loads(pickle.dumps(other)).info.splits) == 2
