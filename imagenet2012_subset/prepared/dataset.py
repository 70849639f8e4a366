"""Opens a prepared dataset, and checks cheaply that its shards are complete."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds
from etils import epath
from google.protobuf import json_format

from imagenet2012_subset.errors import WriteError, counted, first_line
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.storage.paths import absolute, is_local
from imagenet2012_subset.tfds_internals import (
    FileFormat,
    ShardedFileTemplate,
    dataset_info_pb2,
)

DATASET = "imagenet2012_subset"
INFO_FILE = "dataset_info.json"
LABELS_FILE = "label.labels.txt"
METADATA_FILE = "metadata.json"

VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
# TFRecord frames each record with its length (8 bytes) and two checksums.
FRAME_BYTES = 16
# The blocks of an ArrayRecord file; the writer fills the last one.
_ARRAY_RECORD_BLOCK = 1 << 16
# A parquet file starts and ends with the same four bytes and a four-byte length.
_LEAST_PARQUET_BYTES = 12
_PARALLEL_LOOKUPS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedDataset:
    """A prepared dataset, as described by its files.

    Attributes:
      folder: the directory with `dataset_info.json`.
      info: TFDS's protocol buffer `DatasetInfo`.
      formats: the file formats, the one that TFDS reads by default first.
      splits: TFDS's info about each split: `shard_lengths`, `num_bytes`, `filepaths`.
      metadata: what the builder noted about the build; empty for published configs.
    """

    folder: epath.Path
    info: Any
    formats: tuple[FileFormat, ...]
    splits: Mapping[str, tfds.core.SplitInfo]
    metadata: Mapping[str, Any]

    @property
    def default_format(self) -> FileFormat:
        """The file format that TFDS reads unless another one is requested."""
        return self.formats[0]

    def shard_paths(
        self, split: str, file_format: FileFormat | None = None
    ) -> list[epath.Path]:
        """Returns the paths of a split's shards, by default in the default format."""
        info = self.splits[split]
        template = info.filename_template.replace(
            filetype_suffix=(file_format or self.default_format).file_suffix
        )
        return [
            template.sharded_filepath(shard_index=number, num_shards=info.num_shards)
            for number in range(info.num_shards)
        ]

    @functools.lru_cache  # noqa: B019 - one builder for each format, as long as self.
    def builder(self, file_format: FileFormat | None = None) -> Any:
        """Returns TFDS's read-only builder of this dataset in one of its formats.

        Raises:
          WriteError: if TFDS cannot open the dataset.
        """
        with _explained_errors(self.folder):
            builder = tfds.builder_from_directory(self.folder)
            builder.info.set_file_format(
                file_format or self.default_format,
                override=True,
                override_if_initialized=True,
            )
        return builder

    def ensure_complete(self, *formats: FileFormat) -> None:
        """Raises an error if a shard is missing or has a length it cannot have.

        Looks up the lengths of files, which takes milliseconds. The command `check`
        reads the records.

        Args:
          *formats: the formats to look at; by default all that the dataset has.

        Raises:
          WriteError: for the first such shard, or the split whose TFRecord files have a
            wrong total length; or if a length cannot be looked up.
        """
        problems = [
            problem
            for file_format in formats or self.formats
            for split in self.splits
            for problem in self._problems(split, file_format)
        ]
        if problems:
            (path, problem), *others = problems
            also = f" ({counted(len(others), 'other shard')} too)" if others else ""
            raise WriteError(
                path,
                f"{problem}{also}",
                f"Restore it from a copy. {overwriting(self.folder)}",
            )

    def _problems(
        self, split: str, file_format: FileFormat
    ) -> list[tuple[epath.Path, str]]:
        paths = self.shard_paths(split, file_format)
        with concurrent.futures.ThreadPoolExecutor(_PARALLEL_LOOKUPS) as pool:
            lengths = list(pool.map(_length, paths))
        problems = [
            (path, problem)
            for path, length in zip(paths, lengths, strict=True)
            if (problem := _length_problem(length, file_format))
        ]
        # The dataset records the bytes of a split, not of a shard.
        info = self.splits[split]
        total = sum(filter(None, lengths))
        expected = info.num_bytes + FRAME_BYTES * info.num_examples
        if file_format is not FileFormat.TFRECORD or total == expected or problems:
            return problems
        problem = (
            f"has {total:,} bytes in its {split} shards, but should have {expected:,} "
            "(python -m imagenet2012_subset check reports which one is damaged)"
        )
        return [(self.folder, problem)]


def is_dataset(folder: epath.Path) -> bool:
    """Returns whether a directory contains a prepared dataset, without reading it."""
    return (folder / INFO_FILE).exists()


def open_dataset(folder: epath.Path) -> PreparedDataset:
    """Opens a prepared dataset.

    Args:
      folder: the directory with `dataset_info.json`.

    Raises:
      WriteError: if there is no dataset, if one of its files is damaged or cannot be
        read, or if a newer version of TFDS wrote it.
    """
    path = folder / INFO_FILE
    if not path.exists():
        problem = "does not exist"
        if folder.exists() or os.path.lexists(folder):
            problem = f"exists but is not a TFDS dataset: it has no {INFO_FILE}"
        raise WriteError(folder, problem, "Move it away or delete it, then build again")
    with _explained_errors(path):
        info = json_format.Parse(path.read_text(), dataset_info_pb2.DatasetInfo())
        default = FileFormat(info.file_format or FileFormat.TFRECORD)
        others = [FileFormat(other) for other in info.alternative_file_formats]
        template = ShardedFileTemplate(
            dataset_name=info.name, data_dir=folder, filetype_suffix=default.file_suffix
        )
        splits = tfds.core.SplitDict.from_proto(
            repeated_split_infos=info.splits, filename_template=template
        )
    # TFDS would not load it from this directory.
    name = os.path.basename(absolute(folder))
    if VERSION.fullmatch(name) and name != info.version:
        raise damaged(path, f"version {info.version} in the directory of {name}")
    labels = folder / LABELS_FILE
    if labels.exists():
        with _explained_errors(labels):
            wnids = labels.read_text().split()
        if wnids != list(names.wnids()):
            problem = f"{len(wnids):,} lines that are not the 1,000 wnids in order"
            raise damaged(labels, problem)
    formats = tuple(dict.fromkeys([default, *others]))
    metadata = _read_metadata(folder / METADATA_FILE)
    return PreparedDataset(folder, info, formats, dict(splits), metadata)


def update_info(
    info: tfds.core.DatasetInfo, folder: epath.Path, file_format: FileFormat | None
) -> None:
    """Makes a builder's info describe the dataset that it prepares or has prepared.

    Args:
      info: the builder's.
      folder: where the dataset is, if it is prepared.
      file_format: the format to read; None means the dataset's default one, which is
        also read if the dataset exists without this format.
    """
    if is_dataset(folder):
        dataset = open_dataset(folder)
        default, *others = dataset.formats
        info.read_from_directory(folder)
        # TFDS does not reset alternative formats when it reads an info again.
        for other in others:
            if other not in info.alternative_file_formats:
                info.add_alternative_file_format(other)
        info.as_proto.alternative_file_formats[:] = [other.value for other in others]
        if file_format not in dataset.formats:
            file_format = default
    if file_format:
        info.set_file_format(file_format, override=True, override_if_initialized=True)


def overwriting(folder: epath.Path) -> str:
    """Returns how to replace an existing dataset by a new build."""
    if not is_local(folder):
        return (
            f"To build {folder} again, delete it first (gcloud storage rm -r {folder})"
        )
    return (
        f"To build {folder} again, overwrite it (download_mode="
        "tfds.GenerateMode.REUSE_CACHE_IF_EXISTS) or delete it"
    )


def length_and_time(path: epath.Path) -> tuple[int, float]:
    """Returns a file's length in bytes and its modification time, in seconds.

    `epath` also looks up the owner's name, and fails for a user without one.
    """
    if is_local(path):
        found = os.stat(path)
        return found.st_size, found.st_mtime
    status = path.stat()
    return int(status.length), float(status.mtime)


@contextlib.contextmanager
def _explained_errors(path: epath.Path) -> Iterator[None]:
    """Converts errors of reading a dataset's file to errors with a remedy.

    Args:
      path: the file, or the directory of the dataset.

    Raises:
      WriteError: if the file cannot be read, is damaged or is from a newer TFDS.
    """
    try:
        yield
    except Exception as error:  # Each file and kind of damage raises its own.
        if is_file_error(error):
            raise _unreadable(path, error) from error
        if "no field named" in str(error) or "is not a valid FileFormat" in str(error):
            raise WriteError(
                path,
                f"was written by a newer version of TFDS: TFDS {tfds.__version__} does "
                f"not support everything in it ({first_line(error)})",
                "Upgrade TFDS (pip install --upgrade tensorflow-datasets)",
            ) from error
        raise damaged(path, first_line(error)) from error


def is_file_error(error: BaseException) -> bool:
    """Returns whether a file system raised an error, or TensorFlow's layer for URLs."""
    return isinstance(error, OSError) or any(
        cls.__name__ == "OpError" for cls in type(error).__mro__
    )


def damaged(path: epath.Path, problem: str) -> WriteError:
    """Returns the error for a file of a dataset that has wrong content."""
    folder = path.parent if path.suffix in (".json", ".txt") else path
    return WriteError(
        path,
        f"is damaged and cannot be read ({problem})",
        f"Restore it from a copy, or move {folder} away or delete it and build again",
    )


def _unreadable(path: epath.Path, error: Exception) -> WriteError:
    reason = getattr(error, "strerror", None) or first_line(error)
    return WriteError(
        path,
        f"cannot be read ({reason})",
        "Check its permissions and the disk; the dataset itself may be sound",
    )


def _read_metadata(path: epath.Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    with _explained_errors(path):
        metadata = json.loads(path.read_text())
    return metadata if isinstance(metadata, dict) else {}


def _length(path: epath.Path) -> int | None:
    """Returns the length of a file in bytes; None if it does not exist."""
    try:
        return length_and_time(path)[0]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        if not is_file_error(error):
            raise
        raise _unreadable(path, error) from error


def _length_problem(length: int | None, file_format: FileFormat) -> str | None:
    if length is None:
        return "does not exist"
    if not length:
        return "is empty"
    if (file_format is FileFormat.ARRAY_RECORD and length % _ARRAY_RECORD_BLOCK) or (
        file_format is FileFormat.PARQUET and length < _LEAST_PARQUET_BYTES
    ):
        return f"is cut off: no complete {file_format.value} file has {length:,} bytes"
    return None
