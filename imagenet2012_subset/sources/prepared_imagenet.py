"""An `imagenet2012` that TFDS prepared, as a source of images."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import ArchiveError, counted, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import Original, label_function
from imagenet2012_subset.sources.index_cache import IndexedSource
from imagenet2012_subset.sources.record_files import (
    DAMAGED,
    ArrayRecord,
    RecordError,
    RecordFormat,
    TFRecord,
)
from imagenet2012_subset.sources.source import Entries, Entry, Found, Index
from imagenet2012_subset.storage.files import FileTable, cannot_open
from imagenet2012_subset.storage.open import find_files, read_file
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.tfds_internals import ShardedFileTemplate

_DATASET = "imagenet2012"
_VERSIONS = ("5.1.0", "5.0.0")
_INFO = "dataset_info.json"

# TFDS calls a directory `incomplete.<random>_<version>` until the dataset is finished;
# old releases append `.incomplete<random>`.
_VERSION = re.compile(r"(incomplete\.\w+_)?\d+\.\d+\.\d+(\.incomplete\w*)?", re.ASCII)

_FORMATS: Mapping[str, RecordFormat] = {
    "tfrecord": TFRecord(),
    "array_record": ArrayRecord(),
}


def prepared_versions(folder: epath.Path) -> list[epath.Path]:
    """Returns the folders of the versions of `imagenet2012` in a folder, best first.

    Args:
      folder: the folder of a version, of the dataset, or a `data_dir`.

    Returns:
      The supported versions. If there are none, those that are unsupported or
      unfinished, so that `PreparedImagenet` reports why they cannot be used.
    """
    above = [folder, folder / _DATASET]
    candidates = [folder, *(one / version for one in above for version in _VERSIONS)]
    if found := [one for one in candidates if _info(one).get("name") == _DATASET]:
        return found
    if not is_local(folder):
        return []
    siblings = [
        version
        for one in above
        if one.name == _DATASET and one.is_dir()
        for version in sorted(one.iterdir(), reverse=True)
    ]
    if folder.parent.name == _DATASET:
        siblings.append(folder)
    return [one for one in siblings if _VERSION.fullmatch(one.name) and one.is_dir()]


def find_prepared(
    folder: epath.Path, original: Original, index_folder: epath.Path | None
) -> Iterator[Found]:
    """Finds datasets that TFDS prepared; see `prepared_versions`."""
    for path in prepared_versions(folder):
        source = functools.partial(PreparedImagenet, path, original, index_folder)
        yield Found(f"{_DATASET} in {path}", True, source)


class PreparedImagenet(IndexedSource):
    """The images of a split of `imagenet2012`, as TFDS prepared it."""

    stores_converted = True

    def __init__(
        self,
        path: epath.Path,
        original: Original,
        index_folder: epath.Path | None = None,
    ):
        """Looks up the shards; reads no record yet.

        Args:
          path: the folder of a version.
          original: the published archive whose images the split contains.
          index_folder: where its index is saved for the next build; None saves nothing.

        Raises:
          ArchiveError: if the dataset is unfinished, has an unsupported version,
            features or file format, or is missing the split or a shard.
        """
        self.path = path
        self.original = original
        self._index_folder = index_folder
        if not (info := _info(path)):
            raise self._unusable(f"contains no {_INFO}: TFDS did not finish it")
        self.version = str(info.get("version"))
        if self.version not in _VERSIONS:
            supported = " or ".join(_VERSIONS)
            raise self._unusable(f"is version {self.version}, not {supported}")
        self._check_features()
        splits = {split["name"]: split for split in info.get("splits", ())}
        split = splits.get(original.split, {})
        self.shard_lengths = [int(n) for n in split.get("shardLengths", ())]
        if not sum(self.shard_lengths):
            present = first_of(sorted(splits)) or "none"
            raise self._unusable(f"contains no split {original.split} (but {present})")
        file_format = info.get("fileFormat", "tfrecord")
        if file_format not in _FORMATS:
            supported = " or ".join(_FORMATS)
            raise self._unusable(f"has the file format {file_format}, not {supported}")
        self._format = _FORMATS[file_format]
        if isinstance(self._format, ArrayRecord) and not is_local(path):
            raise ArchiveError(
                path,
                "is in ArrayRecord files, which cannot be read in a bucket",
                "Copy it to a disk",
            )
        template = ShardedFileTemplate(
            data_dir=path,
            dataset_name=_DATASET,
            split=original.split,
            filetype_suffix=file_format,
        )
        if given := split.get("filepathTemplate"):
            template = template.replace(template=given)
        self.table = self._find_shards(template)

    def _check_features(self) -> None:
        path = self.path / "features.json"
        content = _read(path)
        if content is None:
            raise self._unusable("contains no features.json: TFDS did not finish it")
        try:
            features = tfds.features.FeaturesDict.from_json(json.loads(content))
            is_right = (
                sorted(features) == ["file_name", "image", "label"]
                and isinstance(features["file_name"], tfds.features.Text)
                and isinstance(features["image"], tfds.features.Image)
                and features["label"].num_classes == len(names.wnids())
            )
        except Exception as error:  # Unknown features can raise any error.
            raise self._unusable(f"has a wrong features.json ({error})") from error
        if not is_right:
            raise self._unusable(f"has other features ({', '.join(sorted(features))})")

    def _find_shards(self, template: ShardedFileTemplate) -> FileTable:
        num_shards = len(self.shard_lengths)
        paths = [
            os.fspath(template.sharded_filepath(shard_index=i, num_shards=num_shards))
            for i in range(num_shards)
        ]
        try:
            return find_files(paths)
        except ArchiveError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            problem = (
                f"does not exist, but {_INFO} counts {counted(num_shards, 'shard')}"
            )
            raise ArchiveError(error.path, problem, self.remedy) from error

    def _unusable(self, problem: str) -> ArchiveError:
        return ArchiveError(self.path, problem, self.remedy)

    @property
    def form(self) -> str:
        shards = counted(len(self.table), f"{self._format.title} shard")
        return f"{_DATASET} {self.version} as TFDS prepared it, {shards}"

    @property
    def remedy(self) -> str:
        return (
            f"Prepare it again (tfds build {_DATASET} --overwrite), or set manual_dir "
            f"to a directory that contains {self.original.file_name}"
        )

    def describe(self) -> str:
        num_examples, num_images = sum(self.shard_lengths), self.original.num_images
        text = f"its split {self.original.split} has {counted(num_examples, 'example')}"
        if num_examples < num_images:
            return (
                f"{text}, the original {num_images:,}: it was prepared from part of "
                "the images, or with max_examples_per_split"
            )
        return text

    def _find_images(self) -> Index:
        what = f"Locating images in {_DATASET} {self.original.split}"
        with self._progress(what) as bar:
            label_of = label_function(self.original)
            shards = self._format.walk(self.table, label_of, bar.update)
        for path, length, shard in zip(
            self.table.paths, self.shard_lengths, shards, strict=True
        ):
            if len(shard.names) != length:
                found = counted(len(shard.names), "record")
                problem = f"contains {found}, but {_INFO} counts {length:,}"
                raise ArchiveError(path, problem, self.remedy)
        files = np.repeat(range(len(shards)), self.shard_lengths).tolist()
        names, offsets, sizes, seals = (
            list(itertools.chain.from_iterable(column))
            for column in zip(*shards, strict=True)
        )
        return Index(
            Entries.from_columns(self.table, names, files, offsets, sizes, seals)
        )

    @property
    def _index_name(self) -> epath.Path:
        return self.path / f"{_DATASET}-{self.original.split}"

    def read_images(self, entries: Entries) -> Iterator[bytes]:
        found = list(entries)
        label_of = label_function(self.original)
        images = self._format.read(entries.table, found, label_of)
        for entry in found:
            try:
                name, image = next(images)
                if (name.decode(), len(image)) != (entry.name, entry.size):
                    raise RecordError("does not contain the image that its index lists")
            except RecordError as error:
                raise self.damaged(entry, f"is damaged: its record {error}") from error
            yield image

    def where(self, entry: Entry) -> str:
        return f"{self._format.where(entry)} of {entry.path}"

    def damaged(self, entry: Entry, problem: str) -> ArchiveError:
        return ArchiveError(
            entry.path,
            f"{entry.name}, {self._format.where(entry)}, {problem}",
            DAMAGED,
        )


def _info(folder: epath.Path) -> dict[str, Any]:
    """Returns the content of dataset_info.json; empty if it does not exist.

    Raises:
      ArchiveError: if it cannot be read.
    """
    if (content := _read(folder / _INFO)) is None:
        return {}
    try:
        return dict(json.loads(content))
    except ValueError as error:
        problem = f"is not valid JSON ({error})"
        raise ArchiveError(folder / _INFO, problem, DAMAGED) from error


def _read(path: epath.Path) -> bytes | None:
    try:
        return read_file(os.fspath(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise cannot_open(os.fspath(path), error) from error
