"""Makes the small data a published config."""

from __future__ import annotations

import pathlib
import shutil

import imagenet2012_subset
from tests.conftest import SmallData

_SHRINK = """
import imagenet2012_subset
for config in imagenet2012_subset.Builder.builder_configs.values():
    config.subset_list = {subset_list!r}
    config.training_images = {num_training}
    config.validation_images = {num_validation}
"""


def shrink_configs(small_data: SmallData) -> str:
    """Returns lines of Python that reduce `1pct` and `10pct` to the small data."""
    return _SHRINK.format(
        subset_list=str(small_data.subset_list),
        num_training=len(small_data.listed),
        num_validation=len(small_data.validation),
    )


def place_as_published(
    built: imagenet2012_subset.Builder, data_dir: pathlib.Path
) -> pathlib.Path:
    """Copies a dataset to the directories of `1pct` and `10pct`."""
    for config in ("1pct", "10pct"):
        folder = data_dir / "imagenet2012_subset" / config / str(built.version)
        shutil.copytree(built.data_dir, folder)
    return data_dir
