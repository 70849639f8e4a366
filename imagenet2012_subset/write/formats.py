"""A dataset in several file formats, side by side in one folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.storage.held_folder import held_folder
from imagenet2012_subset.storage.sync import sync_file, sync_names
from imagenet2012_subset.tfds_internals import FileFormat, write_info_file
from imagenet2012_subset.write.infos import (
    INFO_FILE,
    overwriting,
    read_info,
    unreadable,
)

# What TFDS imports to write a format, and what to install for it.
_MODULES = {
    FileFormat.ARRAY_RECORD: (
        "array_record.python.array_record_module",
        "array_record",
    ),
    FileFormat.PARQUET: ("pyarrow.parquet", "pyarrow"),
    FileFormat.RIEGELI: ("riegeli", "riegeli"),
}


class Formats(NamedTuple):
    """The file formats that a dataset has.

    Attributes:
      default: the one that TFDS reads unless told otherwise.
      alternatives: the others.
    """

    default: FileFormat
    alternatives: tuple[FileFormat, ...]

    def __contains__(self, file_format: object) -> bool:
        return file_format == self.default or file_format in self.alternatives


def ensure_writable(file_format: FileFormat) -> None:
    """Raises a `WriteError` if the package that writes a format is missing."""
    if file_format not in _MODULES:
        return
    module, package = _MODULES[file_format]
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise WriteError(
            f"file_format {file_format.value}",
            f"cannot be written without the package {package} ({error})",
            f"Install it (pip install {package}), or choose another file_format",
        ) from error


def read_formats(folder: epath.Path) -> Formats:
    """Returns the formats that the dataset in a folder says it has.

    Raises:
      WriteError: if it cannot be read.
    """
    info = read_info(folder)
    try:
        return Formats(
            FileFormat(info.file_format or FileFormat.TFRECORD),
            tuple(map(FileFormat, info.alternative_file_formats)),
        )
    except ValueError as error:
        raise unreadable(folder / INFO_FILE, error) from error


def read_num_shards(folder: epath.Path) -> dict[str, int]:
    """Returns how many shards each split of the dataset in a folder has.

    Raises:
      WriteError: as `read_formats`.
    """
    return {split: len(lengths) for split, (_, lengths) in _splits(folder).items()}


def add_format(built: epath.Path, folder: epath.Path) -> None:
    """Adds the shards of one dataset to another, which is the same in another format.

    TFDS reads a format once `dataset_info.json` names it. That file is replaced last,
    as a whole, so that until then nobody sees the shards. Where another build replaces
    the whole dataset meanwhile, nothing gets into the new one.

    Args:
      built: a dataset in the new format, whole and synced. Its shards are moved.
      folder: the dataset that is to have them as well.

    Raises:
      WriteError: if the two do not have the same records in the same shards, or if
        another build has replaced the dataset.
      OSError: if the disk fails.
    """
    added = read_formats(built).default
    try:
        with held_folder(folder) as move_in:
            _ensure_same_shards(built, folder)
            _move_shards(built, added, move_in)
            sync_names(folder)
            info = read_info(folder)
            if added.value not in info.alternative_file_formats:
                info.alternative_file_formats.append(added.value)
            write_info_file(info, built)
            sync_file(built / INFO_FILE)
            move_in(built / INFO_FILE)
            sync_names(folder)
    except FileNotFoundError as error:
        raise _replaced_meanwhile(folder, added) from error
    if added not in read_formats(folder):
        raise _replaced_meanwhile(folder, added)


def show(info: tfds.core.DatasetInfo, folder: epath.Path, asked: FileFormat) -> None:
    """Lets an info tell of the dataset in a folder, in one of its formats.

    TFDS itself reads no alternative formats again, and leaves the format as it was.

    Args:
      info: a builder's.
      folder: of the dataset.
      asked: the format to read it in; where it is not there, the default is taken.
    """
    there = read_formats(folder)
    info.read_from_directory(folder)
    for file_format in there.alternatives:
        if file_format not in info.alternative_file_formats:
            info.add_alternative_file_format(file_format)
    info.as_proto.alternative_file_formats[:] = [
        one.value for one in there.alternatives
    ]
    info.set_file_format(
        asked if asked in there else there.default,
        override=True,
        override_if_initialized=True,
    )


def _move_shards(
    built: epath.Path, added: FileFormat, move_in: Callable[[epath.Path], object]
) -> None:
    for path in built.iterdir():
        if f".{added.file_suffix}" in path.name:
            move_in(path)


def _replaced_meanwhile(folder: epath.Path, added: FileFormat) -> WriteError:
    return WriteError(
        folder,
        f"was replaced by another build while {added.value} was added to it",
        "Build again",
    )


def _ensure_same_shards(built: epath.Path, folder: epath.Path) -> None:
    ours, theirs = (_splits(one) for one in (built, folder))
    if ours != theirs:
        raise WriteError(
            folder,
            "has other records, or other shards, than what was built in another file "
            "format from the archives of today",
            f"Build it in another data_dir. {overwriting(folder)}",
        )


def _splits(folder: epath.Path) -> dict[str, tuple[int, list[int]]]:
    """Returns the bytes of each split, and how many examples its shards have."""
    return {
        split.name: (split.num_bytes, list(split.shard_lengths))
        for split in read_info(folder).splits
    }
