"""What builds left behind that were killed."""

from __future__ import annotations

import contextlib

from absl import logging
from etils import epath

from imagenet2012_subset.errors import DatasetError, counted
from imagenet2012_subset.tfds_internals import FileFormat
from imagenet2012_subset.write.final_place import folders_of_builds
from imagenet2012_subset.write.formats import read_formats
from imagenet2012_subset.write.infos import is_dataset


def report_leftovers(final: epath.Path) -> list[str]:
    """Logs, and returns, what is left of builds of this dataset that were killed.

    Nothing is removed: it may be what another build is writing just now.

    Args:
      final: where the dataset is or will be.
    """
    messages = [
        f"{folder} ({_size(folder):,} bytes) is of a build that was interrupted, or "
        "that still runs. Delete it if none does"
        for folder in folders_of_builds(final)
    ]
    messages += [
        f"{final} has {files}, which it does not tell of: of a build that was "
        "interrupted, or that still runs. To build in that format again replaces them"
        for files in _unknown_shards(final)
    ]
    for message in messages:
        logging.warning("%s", message)
    return messages


def _unknown_shards(final: epath.Path) -> list[str]:
    if not is_dataset(final):  # Nor is there one to wait for, as others do.
        return []
    try:
        known = read_formats(final)
        names = [path.name for path in final.iterdir()]
    except (DatasetError, OSError):
        return []  # Another build may just be replacing it.
    shards = {
        other.value: sum(f".{other.file_suffix}-" in name for name in names)
        for other in FileFormat
        if other not in known
    }
    return [
        f"{counted(count, 'file')} in {file_format}"
        for file_format, count in shards.items()
        if count
    ]


def _size(folder: epath.Path) -> int:
    size = 0
    for parent, _, names in folder.walk():
        for name in names:
            # A build that still runs moves and removes files.
            with contextlib.suppress(OSError):
                size += (parent / name).stat().length
    return size
