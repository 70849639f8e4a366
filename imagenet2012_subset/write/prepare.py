"""Reuses a dataset in its final place, or builds it."""

from __future__ import annotations

import errno
import importlib
import os
import tempfile
from collections.abc import Callable, Mapping

from absl import logging
from etils import epath

from imagenet2012_subset.errors import DatasetError, WriteError
from imagenet2012_subset.prepared.dataset import (
    INFO_FILE,
    PreparedDataset,
    is_dataset,
    open_dataset,
    overwriting,
)
from imagenet2012_subset.prepared.provenance import Provenance, ensure_same
from imagenet2012_subset.storage.paths import dangling_link, is_local, link_target
from imagenet2012_subset.tfds_internals import FileFormat, write_info_file
from imagenet2012_subset.write.shard import unwritable, upload
from imagenet2012_subset.write.staging import (
    locked,
    put_back,
    put_in_place,
    remove_leftovers,
    staging_directory,
    sync_file,
    sync_folder,
    sync_names,
)

# Raises an error unless the dataset is the requested one.
Check = Callable[[PreparedDataset], object]
# Builds the dataset in a `data_dir` and returns its directory there. Also takes the
# required numbers of shards, by split name.
Build = Callable[[epath.Path, Mapping[str, int]], epath.Path]

# The module that TFDS imports to write a format. Its package has the first name.
_MODULES = {
    FileFormat.ARRAY_RECORD: "array_record.python.array_record_module",
    FileFormat.PARQUET: "pyarrow.parquet",
    FileFormat.RIEGELI: "riegeli",
}

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
    _ensure_format_available(file_format)
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


def is_prepared(
    final: epath.Path, file_format: FileFormat, ensure_requested: Check
) -> bool:
    """Returns whether the requested dataset exists, complete, in its final place."""
    try:
        return is_dataset(final) and (
            file_format in _open_requested(final, file_format, ensure_requested).formats
        )
    except DatasetError:
        return False


def ensure_supported_data_dir(data_dir: epath.PathLike) -> None:
    """Raises a `WriteError` if TensorFlow could not read a dataset there."""
    scheme = os.fspath(data_dir).partition("://")[0]
    if not is_local(data_dir) and scheme != "gs":
        how_to_copy = ""
        if scheme == "s3":
            how_to_copy = f" (aws s3 sync DATA_DIR {os.fspath(data_dir)})"
        raise WriteError(
            data_dir,
            f"is not supported as data_dir: TensorFlow cannot read {scheme}://",
            f"Build in a local data_dir, then copy it{how_to_copy}",
        )


def _ensure_format_available(file_format: FileFormat) -> None:
    """Raises a `WriteError` if the package that writes a format is missing."""
    if not (module := _MODULES.get(file_format)):
        return
    try:
        importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise WriteError(
            f"file_format {file_format.value}",
            f"cannot be written without the package {package} ({error})",
            f"Install it (pip install {package}), or choose another file_format",
        ) from error


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
        # Either the existing dataset gets this format too, or, without locks, another
        # build finished first.
        found = open_dataset(final)
        ensure_same(Provenance.of(open_dataset(built)), Provenance.of(found), final)
        if file_format not in found.formats:
            _add_format(built, final)


def _add_format(built: epath.Path, folder: epath.Path) -> None:
    """Adds the shards of a dataset to another one with the same records.

    TFDS reads a format once `dataset_info.json` names it. That file is replaced last
    and atomically, so that no reader sees an incomplete format. The caller holds the
    lock.

    Args:
      built: a dataset in the new format, whole and synced. Its shards are moved.
      folder: the dataset to add them to.

    Raises:
      WriteError: if the two do not have the same records in the same shards.
      OSError: if the disk fails.
    """
    new, old = open_dataset(built), open_dataset(folder)
    if _sizes(new) != _sizes(old):
        raise WriteError(
            folder,
            "does not match what the current archives produce: its records or shards "
            "differ from those built in another file format",
            f"Build it in another data_dir. {overwriting(folder)}",
        )
    suffix = f".{new.default_format.file_suffix}"
    for path in built.iterdir():
        if suffix in path.name:
            path.replace(folder / path.name)
    sync_names(folder)
    old.info.alternative_file_formats.append(new.default_format.value)
    write_info_file(old.info, built)
    sync_file(built / INFO_FILE)
    (built / INFO_FILE).replace(folder / INFO_FILE)
    sync_names(folder)


def _sizes(dataset: PreparedDataset) -> Mapping[str, object]:
    """Returns the bytes of each split, and how many records its shards have."""
    return {
        name: (split.num_bytes, split.shard_lengths)
        for name, split in dataset.splits.items()
    }


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
                final,
                "exists, and datasets in a bucket are never overwritten",
                overwriting(final),
            )
        dataset = _open_requested(final, file_format, ensure_requested)
        if file_format not in dataset.formats:
            raise WriteError(
                final,
                f"exists as {dataset.default_format.value}, and formats cannot be "
                "added to a dataset in a bucket",
                f"Use file_format={dataset.default_format.value!r} or another data_dir",
            )
        return False
    _ensure_format_available(file_format)
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
        # A directory cannot be renamed into itself, so this always fails and changes
        # nothing. For a mount point the error differs, also within one file system.
        os.rename(folder, folder / "mounted")
    except OSError as error:
        return error.errno in (errno.EXDEV, errno.EBUSY)
    return False
