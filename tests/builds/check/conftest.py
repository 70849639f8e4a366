"""Datasets to check."""

from __future__ import annotations

import functools
import pathlib
import shutil
from collections.abc import Callable

import pytest
import tensorflow as tf

from tests.conftest import Build
from tests.shared import checks
from tests.shared.prepared import change_json

Check = Callable[..., checks.Checked]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    return functools.partial(checks.run_check, capsys)


@pytest.fixture(scope="package")
def prepared() -> dict[str, pathlib.Path]:
    """The same dataset, prepared once for all tests."""
    return {}


@pytest.fixture
def dataset(
    build: Build,
    prepared: dict[str, pathlib.Path],
    tmp_path: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    """A copy of a dataset with three shards for each split, in its own `data_dir`."""
    if not prepared:
        prepared["data_dir"] = tmp_path_factory.mktemp("prepared") / "data"
        build(num_shards=3, data_dir=prepared["data_dir"])
    # An index belongs to an archive's path, and this test has another archive.
    ignore = shutil.ignore_patterns("*.npz")
    shutil.copytree(prepared["data_dir"], tmp_path / "data", ignore=ignore)
    return tmp_path / "data" / "imagenet2012_subset" / "small" / "5.0.0"


def shards(dataset: pathlib.Path, split: str) -> list[pathlib.Path]:
    return sorted(dataset.glob(f"imagenet2012_subset-{split}.*"))


def record(folder: pathlib.Path, **values: object) -> None:
    """Changes what a dataset records about itself."""
    change_json(folder / "metadata.json", **values)


def rewrite(
    shard: pathlib.Path, change: Callable[[list[tf.train.Example]], None]
) -> None:
    """Changes the examples of a TFRecord file."""
    dataset = tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()
    examples = [tf.train.Example.FromString(record) for record in dataset]
    change(examples)
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())


def set_bytes(example: tf.train.Example, feature: str, value: bytes) -> None:
    example.features.feature[feature].bytes_list.value[0] = value
