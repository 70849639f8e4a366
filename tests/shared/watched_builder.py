"""A builder that notes which process begins each shard, and may wait there."""

from __future__ import annotations

import os
import pathlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import imagenet2012_subset

# Environment variables, as workers are separate processes.
FOLDER = "WATCHED_BUILDER_FOLDER"
GO_ON = "WATCHED_BUILDER_GO_ON"


class Builder(imagenet2012_subset.Builder, skip_registration=True):
    """Creates a file named `<process>.<number>` for each shard that it begins.

    If the environment variable `GO_ON` names a file, it then waits until that exists.
    """

    name = "imagenet2012_subset"

    def _generate_examples(self, images: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        folder = pathlib.Path(os.environ[FOLDER])
        (folder / f"{os.getpid()}.{uuid.uuid4().hex}").touch()
        while (path := os.environ.get(GO_ON)) and not os.path.exists(path):
            time.sleep(0.01)
        yield from super()._generate_examples(images)


def processes() -> list[int]:
    """Returns the process that began each shard, one for each attempt."""
    names = os.listdir(os.environ[FOLDER])
    return [int(name.partition(".")[0]) for name in names]
