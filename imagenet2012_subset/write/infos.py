"""What a prepared dataset's files tell of it, read as they are."""

from __future__ import annotations

import json
import time
from typing import Any

from etils import epath
from google.protobuf.json_format import ParseError

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.storage.paths import link_target
from imagenet2012_subset.tfds_internals import read_info_file

INFO_FILE = "dataset_info.json"
_METADATA_FILE = "metadata.json"

_TRIES = 20
_SECONDS_BETWEEN = 0.05


def is_dataset(folder: epath.Path) -> bool:
    """Whether a folder is a prepared dataset, of whatever content."""
    return (folder / INFO_FILE).exists()


def read_info(folder: epath.Path) -> Any:
    """Returns TFDS's protocol buffer of a prepared dataset.

    Raises:
      WriteError: if it is no dataset, or the file cannot be read.
    """
    _wait_for(folder)
    if not is_dataset(folder):
        raise WriteError(
            folder,
            f"is in the place of the dataset, but is none: it has no {INFO_FILE}",
            "Move it away or delete it, then build again",
        )
    path = folder / INFO_FILE
    try:
        return read_info_file(path)
    except (OSError, ParseError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(path, error) from error


def read_metadata(folder: epath.Path) -> dict[str, Any]:
    """Returns what a dataset's builder kept in it; nothing if there is no such file.

    Raises:
      WriteError: if the file cannot be read.
    """
    path = folder / _METADATA_FILE
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    return kept if isinstance(kept, dict) else {}


def overwriting(folder: epath.Path) -> str:
    """Returns how to build a dataset anew in place of the one that is there."""
    return (
        f"To build {folder} anew, overwrite it (download_mode="
        "tfds.GenerateMode.REUSE_CACHE_IF_EXISTS) or delete it"
    )


def _wait_for(folder: epath.Path) -> None:
    """Waits while another build is between two renames; see `final_place`."""
    for _ in range(_TRIES):
        if folder.exists() or link_target(folder):
            return
        time.sleep(_SECONDS_BETWEEN)
    raise WriteError(
        folder, "is gone, though it was there just now", "Build the dataset again"
    )


def unreadable(path: epath.Path, error: Exception) -> WriteError:
    """Returns the error of a dataset, or a file of one, that makes no sense."""
    folder = path.parent if path.name.endswith(".json") else path
    return WriteError(
        path,
        f"cannot be read ({error})",
        f"Move {folder} away or delete it, then build again",
    )
