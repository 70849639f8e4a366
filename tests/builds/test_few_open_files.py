"""A process that may open few files builds the right dataset."""

from __future__ import annotations

import shutil

import pytest

from tests.builds.conftest import run_program
from tests.shared import faults, forms

pytest.importorskip("resource", reason="this platform does not limit open files")

_BUILD = """
import resource
import tensorflow  # Loading it opens files.
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
build(workers=64, num_shards=5)
"""


@pytest.mark.parametrize("form", ["tars", "tree"])
def test_more_workers_than_open_files(build, small_data, tmp_path, final, form):
    right = faults.shards(build(num_shards=5, data_dir=tmp_path / "right"))
    if form == "tree":
        shutil.rmtree(small_data.manual_dir)
        forms.training_tree("train")(small_data, small_data.manual_dir)
        forms.validation_flat("val")(small_data, small_data.manual_dir)
    run_program(_BUILD, small_data, tmp_path / "data")
    written = {path.name: path.read_bytes() for path in final.glob("imagenet2012_*-*")}
    assert written == right
