"""The files of a prepared dataset: all there, and nothing else that looks like them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.check.report import Report
from imagenet2012_subset.errors import first_line, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.tfds_internals import FileFormat, index_file_path

DATASET = "imagenet2012_subset"
BUILD_AGAIN = "Build the dataset again"

_INFO = "dataset_info.json"
_FEATURES = "features.json"
_LABELS = "label.labels.txt"
_METADATA = "metadata.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)


def is_dataset(folder: epath.Path) -> bool:
    """Whether a folder is a prepared dataset, or what is left of one."""
    described = any((folder / name).exists() for name in (_INFO, _FEATURES))
    return described or any(folder.glob(f"{DATASET}-*"))


def open_dataset(report: Report, folder: epath.Path) -> list[tfds.core.DatasetBuilder]:
    """Opens a dataset, and reports which of its files lack or are damaged.

    Returns:
      A builder for each format in which the shards are there, the dataset's own first;
      none if the dataset cannot be opened.
    """
    for name in (_INFO, _FEATURES, _METADATA):
        if problem := _json_problem(folder / name, optional=name == _METADATA):
            report.add(False, name, f"{problem}. {BUILD_AGAIN}")
    if not report.ok:
        return []
    try:
        builder = tfds.builder_from_directory(folder)
        formats = builder.info.alternative_file_formats
        others = [_opened_as(folder, one) for one in formats]
    except Exception as error:  # TFDS has a kind of error for each file and fault.
        message = f"TFDS cannot open the dataset ({first_line(error)}). {BUILD_AGAIN}"
        report.add(False, _INFO, message)
        return []
    if builder.name != DATASET:
        report.add(False, _INFO, f"this is {builder.name}, not {DATASET}")
        return []
    # TFDS loads no dataset from the folder of another version.
    name = (
        os.path.basename(os.path.abspath(folder)) if is_local(folder) else folder.name
    )
    if _VERSION.fullmatch(name) and name != str(builder.version):
        message = f"it is of version {builder.version}, in the folder of {name}"
        report.add(False, _INFO, f"{message}. {BUILD_AGAIN}")
        return []
    features = sorted(builder.info.features)
    if features != ["file_name", "image", "label"]:
        message = f"examples have {', '.join(features)}. {BUILD_AGAIN}"
        report.add(False, _FEATURES, message)
        return []
    if problem := _labels_problem(folder / _LABELS):
        report.add(False, _LABELS, f"{problem}. {BUILD_AGAIN}")
    builders = [builder, *others]
    _report_strays(report, folder, builders)
    return builders


def _opened_as(folder: epath.Path, file_format: FileFormat) -> tfds.core.DatasetBuilder:
    builder = tfds.builder_from_directory(folder)
    builder.info.set_file_format(
        file_format, override=True, override_if_initialized=True
    )
    return builder


def read_json(path: epath.Path) -> Mapping[str, Any]:
    """Returns the object in a JSON file; an empty one if there is no such file."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def missing_shards(builder: tfds.core.DatasetBuilder, split: str) -> list[int]:
    """Returns the numbers of the shards that are no files."""
    paths = builder.info.splits[split].filepaths
    return [number for number, path in enumerate(paths) if not path.is_file()]


def _json_problem(path: epath.Path, *, optional: bool) -> str | None:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None if optional else "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except (ValueError, RecursionError) as error:
        return f"is cut off or damaged ({error})"
    return None if isinstance(content, dict) else "is damaged (it holds no object)"


def _labels_problem(path: epath.Path) -> str | None:
    try:
        labels = path.read_text().split()
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except ValueError:
        return "is damaged (it is no text)"
    if labels != list(names.wnids()):
        return f"does not have the 1,000 wnids in order, but {len(labels):,} lines"
    return None


def _report_strays(
    report: Report, folder: epath.Path, builders: list[tfds.core.DatasetBuilder]
) -> None:
    """Reports shards that the dataset does not have: TFDS passes over them."""
    known = set()
    for builder in builders:
        for split in builder.info.splits.values():
            for path in split.filepaths:
                known |= {path.name, epath.Path(index_file_path(str(path))).name}
    present = sorted(path.name for path in folder.glob(f"{DATASET}-*"))
    if strays := [name for name in present if name not in known]:
        message = (
            f"{len(strays):,} files that are no shards of this dataset "
            f"({first_of(strays)}). Delete them, or build the dataset again"
        )
        report.add(False, "files", message, count=len(strays))
