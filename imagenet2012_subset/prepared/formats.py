"""A dataset in several file formats, side by side in one directory."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.prepared.dataset import (
    INFO_FILE,
    PreparedDataset,
    open_dataset,
    overwriting,
)
from imagenet2012_subset.storage.sync import sync_file, sync_names
from imagenet2012_subset.tfds_internals import FileFormat, write_info_file

# The module that TFDS imports to write a format. Its package has the first name.
_MODULES = {
    FileFormat.ARRAY_RECORD: "array_record.python.array_record_module",
    FileFormat.PARQUET: "pyarrow.parquet",
    FileFormat.RIEGELI: "riegeli",
}


def ensure_writable(file_format: FileFormat) -> None:
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


def add_format(built: epath.Path, folder: epath.Path) -> None:
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


def show(
    info: tfds.core.DatasetInfo, dataset: PreparedDataset, file_format: FileFormat
) -> None:
    """Makes a builder's info describe a prepared dataset in one of its formats.

    Args:
      info: the builder's.
      dataset: what to describe.
      file_format: the format to read; the default one if the dataset does not have it.
    """
    default, *others = dataset.formats
    info.read_from_directory(dataset.folder)
    # TFDS does not reset alternative formats when it reads an info again.
    for other in others:
        if other not in info.alternative_file_formats:
            info.add_alternative_file_format(other)
    info.as_proto.alternative_file_formats[:] = [other.value for other in others]
    info.set_file_format(
        file_format if file_format in dataset.formats else default,
        override=True,
        override_if_initialized=True,
    )


def _sizes(dataset: PreparedDataset) -> Mapping[str, object]:
    """Returns the bytes of each split, and how many records its shards have."""
    return {
        name: (split.num_bytes, split.shard_lengths)
        for name, split in dataset.splits.items()
    }
