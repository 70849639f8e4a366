"""The `tfds build` command in its three forms, and with a custom subset."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset.imagenet.names import TRAINING
from tests.conftest import DUMMY_DATA

_PACKAGE = pathlib.Path(imagenet2012_subset.__file__).parent
_CONFIG = json.dumps(
    {
        "name": "dummy",
        "subset_list": str(DUMMY_DATA / "1percent.txt"),
        "validation_images": 10,
    }
)


def _tfds_build(*arguments, cwd="/", check=True, checkout=_PACKAGE.parent):
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build"]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        check=check,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )


def _of_dummy_data(data_dir):
    arguments = ["--config", _CONFIG, "--data_dir", data_dir]
    return [*arguments, "--manual_dir", DUMMY_DATA]


@pytest.mark.parametrize(
    ("arguments", "cwd"),
    [
        ([], _PACKAGE),
        (["imagenet2012_subset", "--imports", "imagenet2012_subset"], "/"),
    ],
    ids=["inside the folder", "by name"],
)
def test_build(tmp_path, arguments, cwd):
    _tfds_build(*arguments, *_of_dummy_data(tmp_path), cwd=cwd)
    assert _shard_lengths(tmp_path) == [["24"], ["10"]]


def _shard_lengths(data_dir):
    folder = data_dir / "imagenet2012_subset" / "dummy" / "5.0.0"
    info = json.loads((folder / "dataset_info.json").read_text())
    assert info["moduleName"].startswith("imagenet2012_subset.")
    return [split["shardLengths"] for split in info["splits"]]


def test_build_by_folder_with_fail_if_exists_and_overwrite(tmp_path):
    config = imagenet2012_subset.SubsetConfig(**json.loads(_CONFIG))
    builder = imagenet2012_subset.Builder(config=config, data_dir=tmp_path)
    options = tfds.download.DownloadConfig(manual_dir=DUMMY_DATA)
    builder.download_and_prepare(download_config=options)
    arguments = [_PACKAGE, *_of_dummy_data(tmp_path)]
    failed = _tfds_build(*arguments, "--fail_if_exists", check=False)
    assert failed.returncode
    assert "already exists" in failed.stderr
    _tfds_build(*arguments, "--overwrite", "--num_shards", "2")
    assert _shard_lengths(tmp_path) == [["12", "12"], ["5", "5"]]


def test_register_checksums_writes_the_one_file(tmp_path, small_data):
    # In a copy, because the test must not change the project's own file.
    copy = tmp_path / "checkout"
    copy.mkdir()
    shutil.copytree(
        _PACKAGE,
        copy / "imagenet2012_subset",
        ignore=shutil.ignore_patterns("checksums.tsv", "__pycache__"),
    )
    checksums = copy / "checksums.tsv"
    url = imagenet2012_subset.Builder.BUILDER_CONFIGS[0].subset_list
    checksums.write_text(f"{url}\t1\t{'0' * 64}\t1percent.txt\n")
    names = [f"n01440764_{i}.JPEG\n" for i in range(1, 12_812)]
    (small_data.manual_dir / "1percent.txt").write_text("".join(names))
    arguments = ["imagenet2012_subset/1pct", "--imports=imagenet2012_subset"]
    arguments += ["--register_checksums", f"--manual_dir={small_data.manual_dir}"]
    arguments += [f"--data_dir={tmp_path / 'data'}"]
    failed = _tfds_build(*arguments, cwd=copy, check=False, checkout=copy)
    # The archives do not contain the listed images, but the list was registered.
    assert failed.returncode
    assert f"{TRAINING.file_name}: is missing 12,8" in failed.stderr
    size = str(sum(map(len, names)))
    assert checksums.read_text().split("\t")[:2] == [url, size]
    assert not (copy / "imagenet2012_subset" / "checksums.tsv").exists()
