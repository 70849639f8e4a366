"""`tfds.load` returns our builder in a new process, in any order of imports."""

import subprocess
import sys

import pytest

_OURS = """
import tensorflow_datasets as tfds
cls = tfds.builder_cls("imagenet2012_subset")
assert cls.__module__ == (
    "imagenet2012_subset.imagenet2012_subset_dataset_builder"
), cls.__module__
assert "imagenet2012_subset" in tfds.list_builders()
"""
_THEIRS_FIRST = """
import tensorflow_datasets as tfds
assert "tensorflow_datasets" in tfds.builder_cls("imagenet2012_subset").__module__
"""


@pytest.mark.parametrize(
    "code",
    [
        _THEIRS_FIRST + "import imagenet2012_subset",
        """
import importlib, imagenet2012_subset, sys
importlib.reload(imagenet2012_subset)
importlib.reload(imagenet2012_subset.imagenet2012_subset_dataset_builder)
importlib.reload(imagenet2012_subset.registration)
importlib.reload(imagenet2012_subset.imagenet2012_subset_dataset_builder)
from tensorflow_datasets.core import community
cls = community.load.builder_cls_from_module(
    "imagenet2012_subset.imagenet2012_subset_dataset_builder"
)
assert cls is imagenet2012_subset.imagenet2012_subset_dataset_builder.Builder
import tensorflow_datasets as tfds
assert cls is tfds.builder_cls("imagenet2012_subset")
""",
        # The builder of TFDS can still be imported afterwards.
        """
import imagenet2012_subset
from tensorflow_datasets.datasets.imagenet2012_subset import (
    imagenet2012_subset_dataset_builder as theirs
)
assert theirs.Builder.name == "imagenet2012_subset"
""",
    ],
    ids=["after TFDS's own", "reloaded", "before TFDS's own"],
)
def test_ours_wins(code):
    subprocess.run([sys.executable, "-c", code + _OURS], check=True)


def test_load_by_name(build, small_data, tmp_path):
    build()
    code = f"""
import imagenet2012_subset, tensorflow_datasets as tfds
ds, info = tfds.load(
    "imagenet2012_subset/small", split="train", data_dir={str(tmp_path / "data")!r},
    with_info=True, as_supervised=True, download=False,
)
assert len(ds) == {len(small_data.listed)}
image, label = next(iter(ds))
assert image.shape[2] == 3 and label.dtype == "int64"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
