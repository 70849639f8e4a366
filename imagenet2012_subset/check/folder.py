"""Checks a folder, whichever of the two it is: a manual directory or a dataset."""

from __future__ import annotations

import os

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.check.archives import check_archives
from imagenet2012_subset.check.dataset import check_dataset
from imagenet2012_subset.check.files import DATASET, is_dataset
from imagenet2012_subset.check.report import Report
from imagenet2012_subset.errors import ManualDirError
from imagenet2012_subset.imagenet.names import NUM_VALIDATION_IMAGES
from imagenet2012_subset.sources.index_cache import folder_in
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.subset.subset_list import read_subset_list

_WHAT_TO_GIVE = (
    "Give a manual directory, or a dataset: the folder with dataset_info.json"
)


def check_folder(
    folder: epath.Path,
    builder_cls: type[tfds.core.DatasetBuilder],
    *,
    data_dir: epath.Path | None = None,
    manual_dir: epath.Path | None = None,
    subset_list: str | None = None,
    validation_images: int | None = None,
    sha256: bool = False,
) -> Report:
    """Checks a manual directory or a prepared dataset.

    It writes nothing but what it found in the archives, and that only into a folder in
    which datasets are built.

    Args:
      folder: either of the two.
      builder_cls: its configs say which lists there can be in a manual directory.
      data_dir: where datasets are built; by default, for a dataset, where it lies if
        downloads lie there too.
      manual_dir: for a dataset: the archives to compare it with.
      subset_list: for a dataset: the list that it was built from.
      validation_images: for a dataset: how many it should have.
      sha256: for a manual directory: whether to read the archives whole.

    Raises:
      ManualDirError: if there is no such folder.
      SubsetListError: if the list cannot be read, or cannot be right.
    """
    try:
        what = is_dataset(folder) if folder.is_dir() else None
    except OSError as error:
        problem = f"cannot be listed ({error.strerror or error})"
        raise ManualDirError(folder, problem, _WHAT_TO_GIVE) from error
    if what is None:
        problem = "is no directory" if folder.exists() else "does not exist"
        raise ManualDirError(folder, problem, _WHAT_TO_GIVE)
    downloads = data_dir / "downloads" if data_dir else _downloads_beside(folder)
    index_folder = folder_in(downloads) if downloads else None
    if not what:
        return check_archives(
            folder, builder_cls, index_folder=index_folder, sha256=sha256
        )
    return check_dataset(
        folder,
        read_subset_list(subset_list) if subset_list else None,
        num_validation=validation_images,
        manual_dir=manual_dir,
        index_folder=index_folder,
        lists_in=[index_folder] if index_folder else [],
    )


def number_of_images(argument: str) -> int:
    """Returns how many validation images there should be, as a user says it.

    Raises:
      ValueError: if there cannot be so many.
    """
    number = int(argument)
    if not 1 <= number <= NUM_VALIDATION_IMAGES:
        raise ValueError(f"there are 1 to {NUM_VALIDATION_IMAGES:,} images")
    return number


def _downloads_beside(folder: epath.Path) -> epath.Path | None:
    """Returns `<data_dir>/downloads` of `<data_dir>/<dataset>/<config>/<version>`."""
    if is_local(folder):
        folder = epath.Path(os.path.abspath(folder))
    above = [*folder.parents][:3]
    if len(above) < 3 or above[1].name != DATASET:
        return None
    downloads = above[2] / "downloads"
    return downloads if downloads.is_dir() else None
