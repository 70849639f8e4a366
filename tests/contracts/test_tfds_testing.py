"""What TFDS offers to test input pipelines, and to read datasets by other builders."""

from __future__ import annotations

import os
import pickle
import shutil
from unittest import mock

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset.tfds_internals import is_replaced
from tests.conftest import Build

_DATASET = "imagenet2012_subset/1pct"
_Policy = tfds.testing.MockPolicy


@pytest.mark.parametrize("policy", [_Policy.AUTO, _Policy.USE_CODE])
def test_mock_data_gives_examples_and_leaves_nothing(tmp_path, policy):
    with tfds.testing.mock_data(num_examples=3, policy=policy):
        dataset = tfds.load(_DATASET, split="train", data_dir=tmp_path)
        examples = list(dataset.as_numpy_iterator())
        source = tfds.data_source(_DATASET, split="train", data_dir=tmp_path)
        assert len(source) == 3
    assert len(examples) == 3
    assert sorted(examples[0]) == ["file_name", "image", "label"]
    assert not os.listdir(tmp_path)


def test_mock_data_with_the_files_of_a_dataset(build: Build, tmp_path):
    folder = build().data_path
    metadata = tmp_path / "metadata"
    copy = metadata / _DATASET / "5.0.0"
    copy.mkdir(parents=True)
    for path in folder.iterdir():
        if path.suffix in (".json", ".txt"):
            shutil.copy(path, copy)
    before = sorted(os.listdir(copy))
    with tfds.testing.mock_data(
        num_examples=2, policy=_Policy.USE_FILES, data_dir=os.fspath(metadata)
    ):
        builder = tfds.builder(_DATASET)
        builder.download_and_prepare()
        assert builder.info.splits["train"].num_examples == 6
        assert len(list(builder.as_dataset(split="validation"))) == 2
    assert sorted(os.listdir(copy)) == before


def test_mock_data_with_functions_of_the_user():
    def as_dataset(self, *args, **kwargs):
        return "a dataset"

    with tfds.testing.mock_data(as_data_source_fn=as_dataset):
        assert tfds.data_source(_DATASET, split="train") == "a dataset"


def test_a_mock_of_tfds_own_method_is_called(tmp_path):
    method = "download_and_prepare"
    builder = imagenet2012_subset.Builder(config="1pct", data_dir=tmp_path)
    for each in (method, "as_data_source"):
        assert not is_replaced(getattr(tfds.core.DatasetBuilder, each))
    with mock.patch.object(tfds.core.DatasetBuilder, method, autospec=True) as replaced:
        builder.download_and_prepare()
    replaced.assert_called_once()
    assert not os.listdir(tmp_path)


def test_builders_from_the_files_alone(build: Build):
    built = build()
    for builder in (
        tfds.builder_from_directory(built.data_path),
        tfds.builder_from_directories([built.data_path]),
        pickle.loads(pickle.dumps(built)),
    ):
        assert builder.info.splits["train"].num_examples == 6
        assert len(list(builder.as_dataset(split="train"))) == 6


def test_a_data_frame_and_a_figure(build: Build):
    pytest.importorskip("pandas")
    built = build()
    dataset = built.as_dataset(split="train").take(2)
    assert len(tfds.as_dataframe(dataset, built.info)) == 2
