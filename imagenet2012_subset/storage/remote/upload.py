"""Puts local files to an object store."""

from __future__ import annotations

import os
import tempfile

from etils import epath

from imagenet2012_subset.storage.remote.paths import StorePath
from imagenet2012_subset.storage.remote.store import as_os_errors, find_object


def upload(file: epath.Path, target: epath.Path) -> None:
    """Copies a file to a store, where it is seen once it is whole.

    Args:
      file: on the local disk.
      target: a path such as `s3://bucket/key`.

    Raises:
      OSError: if the store does not take it.
    """
    with as_os_errors(target):
        if isinstance(target, StorePath) and target.is_fsspecs:
            stored = find_object(target)
            stored.client.put_file(os.fspath(file), stored.key)
        else:
            file.copy(target, overwrite=True)


def ensure_takes_files(folder: epath.Path) -> None:
    """Sees that a store takes files, by putting one there and deleting it.

    Raises:
      OSError: if it does not.
    """
    target = folder / "may_be_written"
    with tempfile.NamedTemporaryFile() as empty:
        upload(epath.Path(empty.name), target)
    with as_os_errors(target):
        target.unlink()
