"""Renders the page as HTML."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Sequence

import jinja2
import markupsafe
import numpy as np
import tensorflow_datasets as tfds

from imagenet2012_subset.page import plots
from imagenet2012_subset.page.contents import (
    GENERATOR,
    contact_sheet,
    describe_dataset,
    describe_sizes,
    describe_split,
    format_time,
    what_is_shown,
)
from imagenet2012_subset.page.survey import SIDE, SplitSurvey
from imagenet2012_subset.prepared.dataset import PreparedDataset
from imagenet2012_subset.tfds_internals import Size
from imagenet2012_subset.version import __version__


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
        generator=GENERATOR,
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
