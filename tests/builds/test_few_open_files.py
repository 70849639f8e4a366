"""A process that may open few files builds the right dataset all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.shared import faults, forms

pytest.importorskip("resource", reason="this platform limits no open files")

_BUILD = """
import resource, sys
import tensorflow_datasets as tfds
from imagenet2012_subset import Builder, SubsetConfig
manual_dir, subset_list, data_dir = sys.argv[1:]
builder = Builder(
    config=SubsetConfig(name="small", subset_list=subset_list, validation_images=5),
    data_dir=data_dir,
    workers=64,
)
import tensorflow  # What it loads takes files for a moment.
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, num_shards=5)
)
"""


def _tars(small_data):
    pass


def _tree(small_data):
    shutil.rmtree(small_data.manual_dir)
    forms.training_tree("train")(small_data, small_data.manual_dir)
    forms.validation_flat("val")(small_data, small_data.manual_dir)


@pytest.mark.parametrize("lay_out", [_tars, _tree])
def test_more_workers_than_open_files(build, small_data, tmp_path, lay_out):
    right = faults.shards(build(num_shards=5))
    lay_out(small_data)
    data_dir = tmp_path / "few"
    subprocess.run(
        [
            sys.executable,
            "-c",
            _BUILD,
            os.fspath(small_data.manual_dir),
            os.fspath(small_data.subset_list),
            os.fspath(data_dir),
        ],
        check=True,
        timeout=300,
    )
    final = data_dir / "imagenet2012_subset" / "small" / "5.0.0"
    there = {path.name: path.read_bytes() for path in final.glob("imagenet2012_*-*")}
    assert there == right
