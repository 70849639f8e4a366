"""Keeps what other builds left or are at, while this one takes the final place."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

from absl import logging
from etils import epath

from imagenet2012_subset.tfds_internals import INCOMPLETE_PREFIX

_REPLACED_PREFIX = "replaced."


def report_leftovers(data_path: epath.Path) -> list[str]:
    """Logs, and returns, what interrupted builds of this dataset left behind.

    Nothing is removed: it may be what another build is writing just now.

    Args:
      data_path: where the dataset is or will be.
    """
    messages = []
    if data_path.parent.exists():
        for folder in sorted(data_path.parent.iterdir()):
            if not folder.name.endswith(f"_{data_path.name}"):
                continue
            size = sum(entry.stat().length for entry in folder.glob("*"))
            if folder.name.startswith(INCOMPLETE_PREFIX):
                messages.append(
                    f"{folder} ({size:,} bytes) is of a build that was interrupted, or "
                    "that still runs. Delete it if none does"
                )
            elif folder.name.startswith(_REPLACED_PREFIX):
                messages.append(
                    f"{folder} ({size:,} bytes) is the dataset that an interrupted "
                    f"build was to replace. Rename it to {data_path.name}, or delete it"
                )
    for message in messages:
        logging.warning("%s", message)
    return messages


@contextlib.contextmanager
def kept_until_replaced(data_path: epath.Path) -> Iterator[None]:
    """Sets a dataset aside, and puts it back should what replaces it fail.

    TFDS by itself deletes the old dataset before it begins with the new one.
    """
    if not data_path.exists():
        yield
        return
    aside = data_path.parent / f"{_REPLACED_PREFIX}{uuid.uuid4().hex}_{data_path.name}"
    data_path.rename(aside)
    try:
        yield
    except BaseException:
        if not data_path.exists():
            aside.rename(data_path)
        raise
    aside.rmtree()
