"""A builder whose examples tell which process made them, and may take a while."""

from __future__ import annotations

import os
import pathlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import imagenet2012_subset

# Environment variables, since workers are processes of their own.
FOLDER = "WATCHED_BUILDER_FOLDER"
SECONDS_A_SHARD = "WATCHED_BUILDER_SECONDS_A_SHARD"


class Builder(imagenet2012_subset.Builder, skip_registration=True):
    """Leaves a file named `<process>.<number>` for each shard that it begins."""

    name = "imagenet2012_subset"

    def _generate_examples(self, images: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        folder = pathlib.Path(os.environ[FOLDER])
        (folder / f"{os.getpid()}.{uuid.uuid4().hex}").touch()
        time.sleep(float(os.environ.get(SECONDS_A_SHARD, "0")))
        yield from super()._generate_examples(images)


def processes() -> list[int]:
    """Returns the process that began each shard, one for each attempt."""
    names = os.listdir(os.environ[FOLDER])
    return [int(name.partition(".")[0]) for name in names]
