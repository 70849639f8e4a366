"""Writes the page of a dataset."""

from __future__ import annotations

import contextlib
import importlib
import os
import uuid
from collections.abc import Iterator

import tensorflow_datasets as tfds
from etils import epath
from PIL import features

from imagenet2012_subset.errors import DatasetError, WriteError, install
from imagenet2012_subset.imagenet.names import wnids
from imagenet2012_subset.page.survey import survey_split
from imagenet2012_subset.prepared.dataset import (
    INFO_FILE,
    PreparedDataset,
    damaged,
    is_dataset,
    open_dataset,
)

MAX_THUMBNAILS = 4_000
"""How many images a page shows; the page then has about 7 MB."""

_PACKAGES = ("jinja2", "matplotlib")
_FEATURES = ("file_name", "image", "label")
# The template names its generator within the first bytes.
_GENERATOR = b'<meta name="generator" content="imagenet2012_subset page">'
_HEAD = 2_000
_OTHER_FILE = "Give another file as --output"


def write_page(
    dataset: os.PathLike[str] | str, output: os.PathLike[str] | str | None = None
) -> epath.Path:
    """Writes one HTML file about a prepared dataset.

    The page needs no other file and no network. Every record is read once.

    Args:
      dataset: the directory with `dataset_info.json`.
      output: the file to write; by default one in the current directory that is named
        after the dataset. An older page is replaced, but no other file.

    Returns:
      The absolute path of the file.

    Raises:
      DatasetError: if the dataset is missing or damaged, or if a package that only the
        page needs is not installed.
      WriteError: if the file cannot be written, or would replace a file that is not a
        page.
    """
    _ensure_packages()
    from imagenet2012_subset.page.render import render_page

    opened = _open(epath.Path(dataset))
    name = opened.builder().info.full_name.replace("/", "-")
    path = epath.Path(os.path.abspath(output or f"{name}.html"))
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.incomplete"
    try:
        # Fails before the dataset is read if the page cannot be written.
        with _explained(path):
            _ensure_replaceable(path)
            temporary.write_bytes(b"")
        splits = [name for name, info in opened.splits.items() if info.num_examples]
        of_split = MAX_THUMBNAILS // len(splits)
        surveys = [survey_split(opened, split, of_split) for split in splits]
        text = render_page(opened, surveys)
        with _explained(path):
            temporary.write_bytes(text.encode())
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def _ensure_packages() -> None:
    for package in _PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise DatasetError(
                package,
                "is not installed, but the page needs it",
                install(" ".join(_PACKAGES), "page"),
            ) from error
    if not features.check("webp"):
        raise DatasetError(
            "pillow",
            "was built without WebP, but the page needs it",
            "Install a build that supports it: pip install --force-reinstall pillow",
        )


def _open(folder: epath.Path) -> PreparedDataset:
    """Opens a complete dataset of ImageNet's classes."""
    if not is_dataset(folder):
        raise DatasetError(
            folder,
            f"has no {INFO_FILE}" if folder.exists() else "does not exist",
            "Give the directory of a version of a prepared dataset, such as "
            "~/tensorflow_datasets/imagenet2012_subset/1pct/5.0.0",
        )
    dataset = open_dataset(folder)
    features = dataset.builder().info.features
    is_dict = isinstance(features, tfds.features.FeaturesDict)
    if not (
        is_dict
        and set(_FEATURES) <= set(features)
        and tuple(getattr(features["label"], "names", None) or ()) == wnids()
    ):
        raise DatasetError(
            folder,
            "is not a dataset of ImageNet's 1,000 classes with the features "
            + ", ".join(_FEATURES),
            "Give the directory of one that imagenet2012_subset has built",
        )
    if not any(split.num_examples for split in dataset.splits.values()):
        raise damaged(folder, "it has no records")
    dataset.ensure_complete(dataset.default_format)
    return dataset


def _ensure_replaceable(path: epath.Path) -> None:
    if path.is_dir():
        raise WriteError(path, "is a directory", _OTHER_FILE)
    if path.exists():
        with path.open("rb") as file:
            if _GENERATOR not in file.read(_HEAD):
                raise WriteError(path, "exists but is not a page", _OTHER_FILE)


@contextlib.contextmanager
def _explained(path: epath.Path) -> Iterator[None]:
    """Turns an error of the operating system into one about the page."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(path, f"cannot be written ({reason})", _OTHER_FILE) from error
