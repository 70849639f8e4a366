"""Datasets to check."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import tensorflow as tf

from imagenet2012_subset.__main__ import main
from tests.conftest import Build
from tests.shared.prepared import change_json


class Checked(NamedTuple):
    """The report of a check.

    Attributes:
      status: the command's exit status.
      findings: all findings by subject.
      remarks: what the verdict mentions although no check failed.
    """

    status: int
    findings: dict[str, list[dict[str, Any]]]
    remarks: list[str]

    @property
    def wrong(self) -> dict[str, list[str]]:
        """The messages of failed checks by subject."""
        wrong = {
            subject: [finding["message"] for finding in found if not finding["ok"]]
            for subject, found in self.findings.items()
        }
        return {subject: messages for subject, messages in wrong.items() if messages}

    @property
    def kinds(self) -> list[str]:
        """The kinds of problems, or else their subjects, in order."""
        return [
            finding["facts"].get("kind", subject)
            for subject, found in self.findings.items()
            for finding in found
            if not finding["ok"]
        ]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[..., Checked]:
    """Runs `check --json`; the exit status must agree with the report."""

    def run(*arguments: object) -> Checked:
        capsys.readouterr()
        status = main(["check", "--json", *map(str, arguments)])
        report = json.loads(capsys.readouterr().out)
        assert report["ok"] == (status == 0)
        findings: dict[str, list[dict[str, Any]]] = {}
        for finding in report["findings"]:
            findings.setdefault(finding["subject"], []).append(finding)
        return Checked(status, findings, report["remarks"])

    return run


_prepared: list[pathlib.Path] = []  # The `data_dir` of one dataset, for all tests.


@pytest.fixture
def dataset(
    build: Build, tmp_path: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A copy of a dataset with three shards for each split, in its own `data_dir`."""
    if not _prepared:
        data_dir = tmp_path_factory.mktemp("prepared") / "data"
        build(num_shards=3, data_dir=data_dir)
        _prepared.append(data_dir)
    # An index belongs to an archive's path, and this test has another archive.
    ignore = shutil.ignore_patterns("*.npz")
    shutil.copytree(_prepared[0], tmp_path / "data", ignore=ignore)
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
