"""Writes the page of a dataset."""

from __future__ import annotations

import importlib
import os

from etils import epath
from PIL import features

from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.page.prepared import open_prepared
from imagenet2012_subset.page.replace import complete_or_absent
from imagenet2012_subset.page.survey import survey_split

MOST_THUMBNAILS = 4_000
"""How many images a page shows: with all of these it has some 7 MB."""

_NEEDED = ("jinja2", "matplotlib")


def write_page(
    dataset: os.PathLike[str] | str, output: os.PathLike[str] | str | None = None
) -> epath.Path:
    """Writes one HTML file that shows what is in a prepared dataset.

    The file needs no other one and no network. Every record is read for it, once.

    Args:
      dataset: the folder with `dataset_info.json`.
      output: the file to write; by default one in the current folder, named for the
        dataset. An older page is replaced, but no other file.

    Returns:
      The file.

    Raises:
      DatasetError: if the dataset is missing or damaged, or if a package is missing
        that only the page needs.
      WriteError: if the file cannot be written, or would replace what is no page.
    """
    _check_packages()
    from imagenet2012_subset.page.render import render_page

    builder = open_prepared(dataset)
    name = builder.info.full_name.replace("/", "-")
    path = epath.Path(output or f"{name}.html")
    splits = [name for name, info in builder.info.splits.items() if info.num_examples]
    with complete_or_absent(path) as write:
        most_of_split = MOST_THUMBNAILS // len(splits)
        surveys = [survey_split(builder, split, most_of_split) for split in splits]
        write(render_page(builder, surveys))
    return path


def _check_packages() -> None:
    for package in _NEEDED:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise DatasetError(
                package,
                "is not installed, but the page needs it",
                "Install what it needs: pip install 'imagenet2012-subset[page]'",
            ) from error
    if not features.check("webp"):
        raise DatasetError(
            "pillow",
            "was built without WebP, but the page needs it",
            "Install one that has it: pip install --force-reinstall pillow",
        )
