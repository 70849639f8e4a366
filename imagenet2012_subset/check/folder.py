"""Identifies what a directory contains, and checks it."""

from __future__ import annotations

import re

from etils import epath

from imagenet2012_subset.check.dataset import check_dataset
from imagenet2012_subset.check.manual_dir import check_manual_dir
from imagenet2012_subset.check.report import Report
from imagenet2012_subset.errors import DatasetError, ManualDirError
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.prepared.dataset import DATASET, INFO_FILE
from imagenet2012_subset.sources.discovery import choose_source
from imagenet2012_subset.sources.index_cache import folder_in
from imagenet2012_subset.storage.paths import absolute
from imagenet2012_subset.subset.subset_list import read_subset_list

_WHAT_TO_GIVE = (
    "Give a manual directory, a dataset (the directory with dataset_info.json) or a "
    "data_dir"
)
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
# Where the directory of a config, of a dataset, and a `data_dir` contain versions.
_VERSIONS = ("*.*.*", "*/*.*.*", f"{DATASET}/*/*.*.*")


def check_folder(
    folder: epath.Path,
    *,
    data_dir: epath.Path | None = None,
    manual_dir: epath.Path | None = None,
    subset_list: str | None = None,
    validation_images: int | None = None,
    sha256: bool = False,
    decode: bool = False,
) -> Report:
    """Checks a manual directory, a prepared dataset, or all datasets in a `data_dir`.

    Writes nothing but the index of an archive, and only into a directory in which
    datasets are built.

    Args:
      folder: the directory.
      data_dir: where datasets are built; by default that of the checked dataset, if
        it also contains downloads.
      manual_dir: for a dataset: the images to compare it with.
      subset_list: the list that a dataset was built from, or whose images a manual
        directory must contain.
      validation_images: for a dataset: how many it should have.
      sha256: for a manual directory: whether to read the archives in full.
      decode: whether to decode every image strictly.

    Raises:
      ManualDirError: if the directory does not exist.
      SubsetListError: if the list cannot be read or is invalid.
    """
    datasets = None
    try:
        problem = "is not a directory" if folder.exists() else "does not exist"
        if folder.is_dir():
            datasets = _datasets_in(folder)
    except OSError as error:
        problem = f"cannot be listed ({error.strerror or error})"
    if datasets is None:
        raise ManualDirError(folder, problem, _WHAT_TO_GIVE)
    listed = read_subset_list(subset_list) if subset_list else None
    report = Report(str(folder))
    for dataset in datasets:
        checked = check_dataset(
            dataset,
            listed,
            num_validation=validation_images,
            manual_dir=manual_dir,
            index_folder=_index_folder(dataset, data_dir),
            decode=decode,
        )
        if dataset == folder:
            return checked
        report.include(checked, str(dataset.relative_to(folder)))
    originals = [folder / original.file_name for original in (TRAINING, VALIDATION)]
    if datasets and not any(path.exists() for path in originals):
        return report
    archives = check_manual_dir(
        folder,
        listed,
        index_folder=_index_folder(folder, data_dir),
        sha256=sha256,
        decode=decode,
    )
    if not datasets:
        return archives
    report.include(archives, "manual_dir")
    return report


def _datasets_in(folder: epath.Path) -> list[epath.Path]:
    """Returns the folder if it is a dataset, complete or not, else those in it."""
    if _has_shards(folder):
        return [folder]
    if any((folder / name).exists() for name in (INFO_FILE, "features.json")):
        # Another dataset can be used as a manual directory.
        return [] if _is_manual_dir(folder) else [folder]
    return sorted(
        path
        for pattern in _VERSIONS
        for path in folder.glob(pattern)
        if _VERSION.fullmatch(path.name) and _has_shards(path)
    )


def _is_manual_dir(folder: epath.Path) -> bool:
    try:
        choose_source(folder, TRAINING)
    except DatasetError:
        return False
    return True


def _has_shards(folder: epath.Path) -> bool:
    return any(folder.glob(f"{DATASET}-*"))


def _index_folder(folder: epath.Path, data_dir: epath.Path | None) -> epath.Path | None:
    """Returns where indices are saved; `folder` may be in a `data_dir`."""
    downloads = data_dir / "downloads" if data_dir else None
    above = [*epath.Path(absolute(folder)).parents][:3]
    if downloads is None and len(above) == 3 and above[1].name == DATASET:
        beside = above[2] / "downloads"
        downloads = beside if beside.is_dir() else None
    return folder_in(downloads) if downloads else None
