"""The contact sheet's data, which the page's script pages and searches."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from imagenet2012_subset.imagenet.class_names import class_lemmas, class_name
from imagenet2012_subset.page.contents import range_text
from imagenet2012_subset.page.survey import SplitSurvey
from imagenet2012_subset.page.thumbnail import SIDE, Thumbnail


def contact_sheet(
    builder: tfds.core.DatasetBuilder, surveys: Sequence[SplitSurvey]
) -> dict[str, Any]:
    """Returns all classes that have images, with some of these, for JSON."""
    wnid_of = builder.info.features["label"].int2str
    labels = np.unique(np.concatenate([survey.labels for survey in surveys])).tolist()
    counts = {survey.name: survey.per_class for survey in surveys}
    return {
        "classes": [
            {
                "label": label,
                "wnid": wnid_of(label),
                "name": class_name(label),
                "words": class_lemmas(label),
                "splits": [
                    {
                        "name": survey.name,
                        "count": int(counts[survey.name][label]),
                        "images": [
                            _image(thumbnail)
                            for thumbnail in survey.thumbnails.get(label, [])
                        ],
                    }
                    for survey in surveys
                ],
            }
            for label in labels
        ],
    }


def what_is_shown(surveys: Sequence[SplitSurvey]) -> str:
    """Returns sentences on which images the contact sheet has, and how."""
    cut = f"Each is cut to its middle square and {SIDE} pixels wide."
    parts = []
    for survey in surveys:
        shown = {label: len(kept) for label, kept in survey.thumbnails.items()}
        if sum(shown.values()) == len(survey.labels):
            parts.append(f"all {len(survey.labels):,} of {survey.name}")
        else:
            of_class = range_text(list(shown.values()))
            parts.append(
                f"{sum(shown.values()):,} of the {len(survey.labels):,} of "
                f"{survey.name}, the first {of_class} of each class"
            )
    return f"Images shown: {'; '.join(parts)}. {cut}"


def _image(thumbnail: Thumbnail) -> dict[str, Any]:
    return {
        "name": thumbnail.file_name,
        "width": thumbnail.width,
        "height": thumbnail.height,
        "bytes": thumbnail.num_bytes,
        "webp": base64.b64encode(thumbnail.webp).decode(),
    }
