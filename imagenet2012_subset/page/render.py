"""From what was surveyed to HTML."""

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
    describe_dataset,
    describe_sizes,
    describe_split,
    format_time,
)
from imagenet2012_subset.page.replace import GENERATOR
from imagenet2012_subset.page.sheet import contact_sheet, what_is_shown
from imagenet2012_subset.page.survey import SplitSurvey
from imagenet2012_subset.page.thumbnail import SIDE
from imagenet2012_subset.tfds_internals import Size
from imagenet2012_subset.version import __version__


def render_page(
    builder: tfds.core.DatasetBuilder, surveys: Sequence[SplitSurvey]
) -> str:
    """Returns the page of a dataset as an HTML document.

    Args:
      builder: of the prepared dataset.
      surveys: of each of its splits; at least one, and each with an image.
    """
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
    now = format_time(datetime.datetime.now(datetime.timezone.utc))
    ours, theirs = __version__, tfds.__version__
    made = f"{now}, by imagenet2012_subset {ours} and TFDS {theirs}"
    sheet = contact_sheet(builder, surveys)
    return environment.get_template("page.html").render(
        generator=GENERATOR,
        script=script,
        # The only script that a browser may run: what is in a dataset never is.
        script_hash=_content_hash(script),
        style=style,
        title=builder.info.full_name,
        summary=builder.info.description.split("\n\n")[0],
        citation=builder.info.citation,
        facts=describe_dataset(builder, surveys, made),
        splits=[describe_split(builder, survey) for survey in surveys],
        num_classes=len(sheet["classes"]),
        dataset_size=str(builder.info.dataset_size),
        sizes=describe_sizes(surveys),
        plots=_plots(surveys),
        sheet=sheet,
        shown=what_is_shown(surveys),
        side=SIDE,
    )


def _plots(surveys: Sequence[SplitSurvey]) -> dict[str, markupsafe.Markup]:
    """Returns SVGs by name, which need no escaping: they hold no text of a dataset."""
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


def _content_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
