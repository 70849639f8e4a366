"""Computes what the page shows, and renders it as HTML."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import markupsafe
import numpy as np
import tensorflow_datasets as tfds

from imagenet2012_subset.imagenet.class_names import class_lemmas, class_name
from imagenet2012_subset.imagenet.names import wnids
from imagenet2012_subset.imagenet2012_subset_dataset_builder import Builder
from imagenet2012_subset.page import plots
from imagenet2012_subset.page.survey import SIDE, SplitSurvey, Thumbnail
from imagenet2012_subset.prepared.dataset import (
    INFO_FILE,
    PreparedDataset,
    length_and_time,
)
from imagenet2012_subset.tfds_internals import Size
from imagenet2012_subset.version import __version__

_FEW = 4  # A sentence lists at most this many numbers.
_EXTREMES = 5  # How many of the smallest and of the largest classes are named.
_PERCENTILES = (0, 5, 50, 95, 100)


def render_page(dataset: PreparedDataset, surveys: Sequence[SplitSurvey]) -> str:
    """Returns the page of a dataset as an HTML document.

    Args:
      dataset: the dataset.
      surveys: its splits that contain images, at least one.
    """
    info = dataset.builder().info
    files = jinja2.PackageLoader("imagenet2012_subset.page")
    environment = jinja2.Environment(
        loader=files,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = lambda num_bytes: str(Size(num_bytes))
    environment.filters["grouped"] = lambda number: f"{number:,.0f}"
    script, style = (
        markupsafe.Markup(files.get_source(environment, name)[0])
        for name in ("page.js", "page.css")
    )
    # Browsers run no other script, so nothing in a dataset can run.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    now = format_time(datetime.datetime.now(datetime.timezone.utc))
    made = f"{now}, by imagenet2012_subset {__version__} and TFDS {tfds.__version__}"
    sheet = contact_sheet(surveys)
    return environment.get_template("page.html").render(
        script=script,
        script_hash=f"sha256-{digest}",
        style=style,
        title=info.full_name,
        summary=info.description.split("\n\n")[0],
        citation=info.citation,
        facts=describe_dataset(dataset, surveys, made),
        splits=[describe_split(dataset, survey) for survey in surveys],
        num_classes=len(sheet["classes"]),
        dataset_size=str(info.dataset_size),
        sizes=describe_sizes(surveys),
        plots=_plots(surveys),
        sheet=sheet,
        shown=what_is_shown(surveys),
        side=SIDE,
    )


def _plots(surveys: Sequence[SplitSurvey]) -> dict[str, markupsafe.Markup]:
    """Returns SVGs by name. They contain no text from a dataset, so none is escaped."""
    shown = np.unique(np.concatenate([survey.labels for survey in surveys]))
    drawn = {
        "balance": plots.balance_plot([survey.per_class[shown] for survey in surveys]),
        "shapes": plots.shape_plot(
            np.concatenate([survey.widths for survey in surveys]),
            np.concatenate([survey.heights for survey in surveys]),
        ),
        "pixels": plots.histogram(
            "pixels",
            [survey.widths * survey.heights / 1e6 for survey in surveys],
            "megapixels",
        ),
        "encoded": plots.histogram(
            "encoded", [survey.num_bytes / 1000 for survey in surveys], "kB, as encoded"
        ),
    }
    return {name: markupsafe.Markup(svg) for name, svg in drawn.items()}


class Fact(NamedTuple):
    """A line about the dataset; `is_code` values are shown in a monospaced font."""

    term: str
    value: str
    is_code: bool = False


def describe_dataset(
    dataset: PreparedDataset, surveys: Sequence[SplitSurvey], made: str
) -> list[Fact]:
    """Returns the dataset's identity, provenance and build time.

    Args:
      dataset: the dataset.
      surveys: its splits.
      made: when and by which versions the page was made.
    """
    info = dataset.builder().info
    config = Builder.builder_configs.get(info.config_name)
    _, modified = length_and_time(dataset.folder / INFO_FILE)
    built = datetime.datetime.fromtimestamp(modified, datetime.timezone.utc)
    facts = [
        Fact("Config", info.config_name or ""),
        Fact("What it is", info.config_description or ""),
        Fact("Training list", config.subset_list if config else "a custom list"),
        Fact("Version", str(info.version)),
        Fact("Homepage", info.homepage),
        Fact("Built", format_time(built)),
        Fact("Built by", info.module_name or "unknown", is_code=True),
        Fact("Files", f"{dataset.default_format.value}, {info.dataset_size}"),
        *(
            Fact(f"SHA-256, names of {survey.name}", survey.fingerprint, is_code=True)
            for survey in surveys
        ),
        Fact("This page", made),
    ]
    return [fact for fact in facts if fact.value]


def format_time(moment: datetime.datetime) -> str:
    """Returns a time such as `24 November 2026, 07:08 UTC`."""
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def describe_split(dataset: PreparedDataset, survey: SplitSurvey) -> dict[str, Any]:
    """Returns the numbers of a split and of each of its shards.

    `fewest` and `most` are the smallest and the largest classes with their number of
    images, unless the sentence `balance` lists the numbers of all classes.
    """
    info = dataset.splits[survey.name]
    paths = dataset.shard_paths(survey.name)
    fewest, most = _extremes(survey.per_class)
    return {
        "name": survey.name,
        "num_images": len(survey.labels),
        "num_bytes": info.num_bytes,
        "mean_bytes": float(survey.num_bytes.mean()),
        "shards": [
            (path.name, num_images, length_and_time(path)[0])
            for path, num_images in zip(paths, info.shard_lengths, strict=True)
        ],
        "images_per_shard": _range_text(info.shard_lengths),
        "balance": _balance(survey.per_class),
        "fewest": fewest,
        "most": most,
    }


def describe_sizes(
    surveys: Sequence[SplitSurvey],
) -> list[tuple[str, str, list[float]]]:
    """Returns the distribution of the images' sizes.

    Each row has a quantity, a split, and the minimum, 5th percentile, median, 95th
    percentile and maximum of the quantity.
    """
    quantities = {
        "Width, pixels": [survey.widths for survey in surveys],
        "Height, pixels": [survey.heights for survey in surveys],
        "Encoded, kB": [survey.num_bytes / 1000 for survey in surveys],
    }
    return [
        (quantity, survey.name, np.percentile(values, _PERCENTILES).tolist())
        for quantity, columns in quantities.items()
        for survey, values in zip(surveys, columns, strict=True)
    ]


def _balance(per_class: np.ndarray) -> str:
    present = per_class[per_class > 0]
    numbers, frequencies = np.unique(present, return_counts=True)
    if len(numbers) <= _FEW:
        numbers_text = ", ".join(
            f"{_classes(frequency)} {number:,}"
            for number, frequency in zip(numbers, frequencies, strict=True)
        )
    else:
        median = f"{np.median(present):,.0f}"
        numbers_text = f"{numbers[0]:,} to {numbers[-1]:,}, median {median}"
    missing = len(per_class) - len(present)
    without = f" {_classes(missing)} none." if missing else ""
    return f"Images of a class: {numbers_text}.{without}"


def _classes(number: int) -> str:
    return "1 class has" if number == 1 else f"{number:,} classes have"


def _extremes(
    per_class: np.ndarray,
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Returns the smallest and the largest classes with their number of images."""
    present = np.flatnonzero(per_class)
    if len(np.unique(per_class)) <= _FEW or len(present) <= 2 * _EXTREMES:
        return [], []
    order = present[np.argsort(per_class[present], kind="stable")]
    named = [(class_name(label), int(per_class[label])) for label in order]
    return named[:_EXTREMES], named[: -_EXTREMES - 1 : -1]


def _range_text(numbers: Sequence[int]) -> str:
    """Returns the minimum and the maximum, or the only value."""
    least, greatest = min(numbers), max(numbers)
    return f"{least:,}" if least == greatest else f"{least:,} to {greatest:,}"


def contact_sheet(surveys: Sequence[SplitSurvey]) -> dict[str, Any]:
    """Returns all classes with images and their thumbnails, as JSON for the script."""
    labels = np.unique(np.concatenate([survey.labels for survey in surveys])).tolist()
    counts = {survey.name: survey.per_class for survey in surveys}
    classes = [
        {
            "label": label,
            "wnid": wnids()[label],
            "name": class_name(label),
            "words": class_lemmas(label),
            "splits": [
                {
                    "name": survey.name,
                    "count": int(counts[survey.name][label]),
                    "images": list(map(_image, survey.thumbnails.get(label, []))),
                }
                for survey in surveys
            ],
        }
        for label in labels
    ]
    return {"classes": classes}


def what_is_shown(surveys: Sequence[SplitSurvey]) -> str:
    """Returns a description of the images on the contact sheet."""
    parts = []
    for survey in surveys:
        shown = [len(kept) for kept in survey.thumbnails.values()]
        images = f"{len(survey.labels):,} of {survey.name}"
        if sum(shown) == len(survey.labels):
            parts.append(f"all {images}")
        else:
            of_class = f"the first {_range_text(shown)} of each class"
            parts.append(f"{sum(shown):,} of the {images}, {of_class}")
    cut = f"Each is cut to its middle square and {SIDE} pixels wide."
    return f"Images shown: {'; '.join(parts)}. {cut}"


def _image(thumbnail: Thumbnail) -> dict[str, Any]:
    return {
        "name": thumbnail.file_name,
        "width": thumbnail.width,
        "height": thumbnail.height,
        "bytes": thumbnail.num_bytes,
        "webp": base64.b64encode(thumbnail.webp).decode(),
    }
