"""A dataset's final place: taken by a whole dataset, or left as it was."""

from __future__ import annotations

import contextlib
import errno
import uuid
from collections.abc import Callable, Iterator

from absl import logging
from etils import epath

from imagenet2012_subset.storage.sync import sync_folder
from imagenet2012_subset.tfds_internals import INCOMPLETE_PREFIX
from imagenet2012_subset.write.shard import unwritable

_REPLACED_PREFIX = "replaced."


def take_final_place(
    data_path: epath.Path, prepare: Callable[[], None], *, overwrite: bool
) -> bool:
    """Lets `prepare` put a dataset into its final place, and syncs it.

    Args:
      data_path: the final place.
      prepare: writes the dataset elsewhere and moves it there.
      overwrite: whether a dataset that is there already is to be replaced. Should
        that fail, it is put back.

    Returns:
      Whether it did. If not, another build was first, and its dataset is there.

    Raises:
      WriteError: if the dataset cannot be written.
    """
    report_leftovers(data_path)
    try:
        with _kept_until_replaced(data_path) if overwrite else contextlib.nullcontext():
            prepare()
            _sync(data_path)
    except OSError as error:
        taken = isinstance(error, FileExistsError) or error.errno == errno.ENOTEMPTY
        if taken and (data_path / "dataset_info.json").exists():
            logging.warning("Another build of %s was first", data_path)
            return False
        if error.errno in (errno.EACCES, errno.EROFS, errno.ENOSPC):
            raise unwritable(data_path, str(error)) from error
        raise
    return True


def _sync(data_path: epath.Path) -> None:
    try:
        sync_folder(data_path)
    except OSError as error:
        data_path.rmtree()
        raise unwritable(data_path, str(error)) from error


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
def _kept_until_replaced(data_path: epath.Path) -> Iterator[None]:
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
