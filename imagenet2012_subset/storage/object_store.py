"""Reads objects in a bucket through `obstore`."""

from __future__ import annotations

from imagenet2012_subset.storage.files import Files
from imagenet2012_subset.storage.folders import Status


class ObjectFiles(Files):
    """Objects of one bucket."""


def object_status(path: str) -> Status:
    """Looks up an object."""
    raise NotImplementedError(path)
