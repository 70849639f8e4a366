"""Finds a dataset in its final place, or builds it and puts it there."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping

from absl import logging
from etils import epath

from imagenet2012_subset.errors import DatasetError, WriteError
from imagenet2012_subset.storage.paths import dangling_link, is_local, link_target
from imagenet2012_subset.storage.sync import sync_folder
from imagenet2012_subset.tfds_internals import FileFormat
from imagenet2012_subset.write.final_place import (
    folder_of_build,
    put_back,
    put_in_place,
)
from imagenet2012_subset.write.formats import (
    add_format,
    ensure_writable,
    read_formats,
    read_num_shards,
)
from imagenet2012_subset.write.leftovers import report_leftovers
from imagenet2012_subset.write.made_from import MadeFrom, ensure_same, read_made_from
from imagenet2012_subset.write.shard import unwritable

_DISK_ERRORS = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EIO,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
)


def prepare(
    final: epath.Path,
    file_format: FileFormat,
    asked: Callable[[], MadeFrom],
    build: Callable[[epath.Path, Mapping[str, int]], epath.Path],
    *,
    overwrite: bool,
) -> bool:
    """Sees to it that the dataset that is asked for is in its final place.

    Args:
      final: the final place.
      file_format: in which the dataset is to be there, maybe beside others.
      asked: what a dataset that is there has to have been made from.
      build: builds the dataset. Takes a `data_dir`, and how many shards each split is
        to have, where that is given; returns the dataset's folder in that `data_dir`.
      overwrite: whether to build it also if it is there.

    Returns:
      Whether it was built. If not, it was there.

    Raises:
      SubsetListError: if a dataset of another list is there.
      WriteError: if another dataset or something else is there; or if the disk fails.
    """
    with _disk_errors_told(final):
        put_back(final)
        report_leftovers(final)
    there = not overwrite and (final.exists() or bool(link_target(final)))
    if there:
        ensure_same(asked(), read_made_from(final), final)
        if file_format in read_formats(final):
            logging.info("Reusing dataset %s", final)
            return False
    ensure_folder(final.parent)
    ensure_writable(file_format)
    if overwrite and (target := link_target(final)):
        logging.warning(
            "%s is a link to %s. The dataset will take the link's place, and what it "
            "points to stays as it is",
            final,
            target,
        )
    with _disk_errors_told(final), folder_of_build(final) as folder:
        built = build(folder, read_num_shards(final) if there else {})
        sync_folder(built)
        made_from = read_made_from(built)
        if there or not put_in_place(folder, final, replace=overwrite):
            if not there:
                logging.warning("Another build of %s was first", final)
            ensure_same(made_from, read_made_from(final), final)
            if file_format not in read_formats(final):
                add_format(built, final)
    # Who overwrites at the same time may have been last.
    ensure_same(made_from, read_made_from(final), final)
    return True


def is_prepared(
    final: epath.Path, file_format: FileFormat, asked: Callable[[], MadeFrom]
) -> bool:
    """Whether `prepare` would find the dataset that is asked for, and not build."""
    try:
        ensure_same(asked(), read_made_from(final), final)
        return file_format in read_formats(final)
    except DatasetError:
        return False


def ensure_folder(folder: epath.Path) -> None:
    """Raises a `WriteError` if something else is where a folder is to be made."""
    for path in (folder, *folder.parents) if is_local(folder) else ():
        if path.is_dir():
            return
        if path.exists() or dangling_link(path):
            raise WriteError(
                path,
                "is a file, or a link that leads nowhere, but a folder is wanted there",
                f"Give another place for {folder}",
            )


@contextlib.contextmanager
def _disk_errors_told(final: epath.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise unwritable(final, str(error)) from error
