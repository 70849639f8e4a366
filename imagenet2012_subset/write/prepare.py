"""Reuses a dataset in its final place, or builds it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Mapping

from absl import logging
from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.prepared.dataset import (
    INFO_FILE,
    PreparedDataset,
    is_dataset,
    open_dataset,
    overwriting,
)
from imagenet2012_subset.prepared.formats import add_format, ensure_writable
from imagenet2012_subset.prepared.provenance import Provenance, ensure_same
from imagenet2012_subset.storage.paths import dangling_link, is_local, link_target
from imagenet2012_subset.storage.sync import sync_folder
from imagenet2012_subset.tfds_internals import FileFormat
from imagenet2012_subset.write.shard import unwritable, upload
from imagenet2012_subset.write.staging import (
    locked,
    put_back,
    put_in_place,
    remove_leftovers,
    staging_directory,
)

# Raises an error unless the dataset is the requested one.
Check = Callable[[PreparedDataset], object]
# Builds the dataset in a `data_dir` and returns its directory there. Also takes the
# required numbers of shards, by split name.
Build = Callable[[epath.Path, Mapping[str, int]], epath.Path]

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
    ensure_requested: Check,
    build: Build,
    *,
    overwrite: bool,
) -> bool:
    """Ensures that the requested dataset exists, complete, in its final place.

    Args:
      final: the final place.
      file_format: a format that it must have.
      ensure_requested: checks an existing dataset.
      build: builds the dataset.
      overwrite: whether to build it even if it exists.

    Returns:
      Whether it was built. If not, it existed.

    Raises:
      SubsetListError: if a dataset of a different list exists.
      WriteError: if a different or incomplete dataset or something else exists, or if
        the disk fails.
    """
    if not is_local(final):
        return _prepare_in_bucket(
            final, file_format, ensure_requested, build, overwrite=overwrite
        )
    if (overwrite or not is_dataset(final)) and _is_mount_point(final):
        raise WriteError(
            final,
            "is a mount point, and a finished dataset cannot be renamed to one",
            "Mount the volume at a directory above it, such as data_dir, or use "
            "another data_dir",
        )

    def find() -> PreparedDataset | None:
        if overwrite or not (final.exists() or link_target(final)):
            return None
        return _open_requested(final, file_format, ensure_requested)

    found = find()
    if found and file_format in found.formats:
        logging.info("Reusing dataset %s", final)
        return False
    ensure_folder(final.parent)
    ensure_writable(file_format)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with locked(final) as is_locked:
            put_back(final)
            if is_locked:
                remove_leftovers(final)
            found = find()
            if found and file_format in found.formats:
                logging.info("Another process has built %s", final)
                return False
            _build_and_place(final, file_format, build, found, overwrite=overwrite)
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise unwritable(final, str(error)) from error
    return True


def ensure_data_dir(data_dir: epath.PathLike) -> None:
    """Raises a `WriteError` if TensorFlow could not read a dataset there."""
    scheme = os.fspath(data_dir).partition("://")[0]
    if not is_local(data_dir) and scheme != "gs":
        raise WriteError(
            data_dir,
            f"is not supported as data_dir: TensorFlow cannot read {scheme}://",
            "Build in a local data_dir, then copy it"
            + (f" (aws s3 sync DATA_DIR {os.fspath(data_dir)})" * (scheme == "s3")),
        )


def ensure_folder(folder: epath.Path) -> None:
    """Raises a `WriteError` if a directory cannot be created because of a file."""
    for path in (folder, *folder.parents) if is_local(folder) else ():
        if path.is_dir():
            return
        if path.exists() or dangling_link(path):
            raise WriteError(
                path,
                "is a file or a broken link, but must be a directory",
                f"Use another place for {folder}",
            )


def _open_requested(
    final: epath.Path, file_format: FileFormat, ensure_requested: Check
) -> PreparedDataset:
    """Opens a dataset; raises an error if it is incomplete or not the requested one."""
    dataset = open_dataset(final)
    ensure_requested(dataset)
    is_in_format = file_format in dataset.formats
    dataset.ensure_complete(file_format if is_in_format else dataset.default_format)
    return dataset


def _build_and_place(
    final: epath.Path,
    file_format: FileFormat,
    build: Build,
    found: PreparedDataset | None,
    *,
    overwrite: bool,
) -> None:
    if overwrite and (target := link_target(final)):
        logging.warning(
            "%s is a link to %s. The dataset will replace the link; what it points to "
            "stays",
            final,
            target,
        )
    splits = found.splits if found else {}
    num_shards = {name: split.num_shards for name, split in splits.items()}
    with staging_directory(final) as staging:
        built = build(staging, num_shards)
        sync_folder(built)
        if not found and put_in_place(staging, final, replace=overwrite):
            return
        # The dataset gets this format too. Without locks, another build may also have
        # been faster.
        found = open_dataset(final)
        ensure_same(Provenance.of(open_dataset(built)), Provenance.of(found), final)
        if file_format not in found.formats:
            add_format(built, final)


def _prepare_in_bucket(
    final: epath.Path,
    file_format: FileFormat,
    ensure_requested: Check,
    build: Build,
    *,
    overwrite: bool,
) -> bool:
    """Does the same in a bucket, through TFDS's file layer.

    Workers upload each shard once it is complete. The other files follow;
    `dataset_info.json`, which makes them a dataset, is last. Buckets have neither locks
    nor atomic renames, so builds never delete anything there, and stop writing once a
    dataset exists.
    """
    if is_dataset(final):
        if overwrite:
            raise WriteError(
                final, "exists, and is not replaced in a bucket", overwriting(final)
            )
        dataset = _open_requested(final, file_format, ensure_requested)
        if file_format not in dataset.formats:
            raise WriteError(
                final,
                f"exists as {dataset.default_format.value}, and no format is added to "
                "a dataset in a bucket",
                f"Use file_format={dataset.default_format.value!r} or another data_dir",
            )
        return False
    ensure_writable(file_format)
    with tempfile.TemporaryDirectory(prefix="imagenet2012_subset.") as staging:
        built = build(epath.Path(staging), {})
        for path in sorted(built.iterdir(), key=lambda path: path.name == INFO_FILE):
            upload(path, final / path.name)
        dataset = open_dataset(final)
        ensure_same(Provenance.of(open_dataset(built)), Provenance.of(dataset), final)
        dataset.ensure_complete()
    return True


def _is_mount_point(folder: epath.Path) -> bool:
    """Returns whether a file system is mounted there, or a directory by `--bind`."""
    if not folder.is_dir() or os.path.islink(folder):
        return False
    try:
        # A directory cannot be moved into itself, so that this changes nothing. Out of
        # a mount point the error is a different one, also within one file system.
        os.rename(folder, folder / "mounted")
    except OSError as error:
        return error.errno in (errno.EXDEV, errno.EBUSY)
    return False
