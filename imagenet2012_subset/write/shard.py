"""Writes one shard, a pure function of its plan; notices copies of an image."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from absl import logging
from etils import epath

from imagenet2012_subset.errors import ArchiveError, WriteError, first_of
from imagenet2012_subset.plan.shards import RecordSerializer, ShardPlan
from imagenet2012_subset.prepared.dataset import is_dataset, is_file_error
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.source import decoded
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.tfds_internals import (
    ExampleWriter,
    FileFormat,
    Hasher,
    index_file_path,
    write_index_file,
)
from imagenet2012_subset.write.staging import sync_file

OnImage = Callable[[str, bytes], None]
Examples = Iterable[tuple[str, dict[str, Any]]]

_STAGED_SHARD_PREFIX = "staged_shard."
_UPLOAD_CHUNK_BYTES = 16 << 20

# ImageNet contains a few pairs of identical images, far less than 1 % of any split. A
# small split may contain one of them.
_MAX_SHARE = 0.01
_MAX_IMAGES = 2
_COPIES_TO_WARN_OF = 3

# Archives that are made for tests repeat many images. In an incomplete download, one or
# a few placeholders are repeated.
_PLACEHOLDER_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class ShardWriter:
    """Writes any shard of a dataset.

    Attributes:
      generate_examples: yields the (key, example) of each image, in order.
      serializer: turns an example into a record.
      example_writer: writes records to a file.
    """

    generate_examples: Callable[[Images], Examples]
    serializer: RecordSerializer
    example_writer: ExampleWriter

    def write(
        self,
        shard: ShardPlan,
        on_image: OnImage = lambda name, data: None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """Writes a shard in a staging directory, then moves it to its path.

        Two attempts at the same shard therefore never mix. For a bucket, the staging
        directory is a temporary directory of this machine.

        Args:
          shard: its plan.
          on_image: called with the name and the bytes of each image after its record
            is written. If it raises an error, the shard ends.
          turn: held while the records are written, but not while the disk syncs them.

        Raises:
          WriteError: if the shard cannot be written, or if an example is not the one
            that was planned.
          ArchiveError: if an image is not the one that was planned.
        """
        final = epath.Path(shard.path)
        try:
            with _staging_directory(final.parent) as staging:
                with turn or contextlib.nullcontext():
                    records = self._records(shard, on_image)
                    files = self._write_records(staging / final.name, records)
                for file in files:
                    if is_local(final):
                        sync_file(file)
                        file.replace(final.parent / file.name)
                    else:
                        upload(file, final.parent / file.name)
        except _RecordsFailed as error:
            raise error.reason from error.reason.__cause__
        except WriteError:
            raise
        except Exception as error:
            # Each format raises different errors if the disk fails.
            raise unwritable(final, str(error)) from error

    def _write_records(
        self, path: epath.Path, records: Iterable[tuple[int, bytes]]
    ) -> list[epath.Path]:
        if self.example_writer.file_format == FileFormat.PARQUET:
            # TFDS's adapter slices its argument from the start for each batch: of an
            # iterator it would drop every record past the hundredth.
            records = list(records)
        positions = self.example_writer.write(path, records)
        if not positions:
            return [path]
        index_path = index_file_path(str(path))
        write_index_file(index_path, positions)
        return [path, epath.Path(index_path)]

    def _records(
        self, shard: ShardPlan, on_image: OnImage
    ) -> Iterator[tuple[int, bytes]]:
        """Yields each record with the hash of its key, compared with the plan."""
        hasher = Hasher(shard.split)
        sizes = shard.record_sizes.tolist()
        planned = zip(decoded(shard.entries.names), sizes, strict=True)
        images = Images(shard.source, shard.entries)
        try:
            for key, example in self.generate_examples(images):
                record = self.serializer.serialize(example)
                expected = next(planned, None)
                if (key, len(record)) != expected:
                    raise _not_planned(shard.path, expected, (key, len(record)))
                yield hasher.hash_key(key), record
                on_image(key, example["image"])
            if missing := next(planned, None):
                raise _not_planned(shard.path, missing, None)
        except Exception as error:
            raise _RecordsFailed(error) from error


class _RecordsFailed(Exception):
    """Carries an error in the records through the library that writes them."""

    def __init__(self, reason: Exception):
        super().__init__(str(reason))
        self.reason = reason


def remove_staged_shards(folder: epath.Path) -> None:
    """Removes the staging directories of killed workers from a dataset's directory."""
    if is_local(folder):
        for path in folder.glob(f"{_STAGED_SHARD_PREFIX}*"):
            path.rmtree(missing_ok=True)


def upload(file: epath.Path, target: epath.Path) -> None:
    """Copies a local file to a bucket, unless a complete dataset exists there.

    Raises:
      WriteError: if the bucket does not accept it.
    """
    try:
        if not is_dataset(target.parent):
            with file.open("rb") as data, target.open("wb") as stored:
                shutil.copyfileobj(data, stored, _UPLOAD_CHUNK_BYTES)
    except Exception as error:
        if not is_file_error(error):
            raise
        raise unwritable(target, str(error)) from error


def unwritable(path: epath.PathLike, reason: str) -> WriteError:
    """Returns the error for a path that cannot be written."""
    return WriteError(
        path,
        f"cannot be written ({reason})",
        "Check that the disk has space and that data_dir is writable; "
        + what_is_left(path),
    )


def what_is_left(path: epath.PathLike) -> str:
    """Returns what remains of a failed build, for messages."""
    if is_local(path):
        return "nothing of this build is left"
    return "shards that were uploaded stay, and the next build replaces them"


@contextlib.contextmanager
def _staging_directory(final: epath.Path) -> Iterator[epath.Path]:
    if not is_local(final):
        with tempfile.TemporaryDirectory(prefix="imagenet2012_subset.") as folder:
            yield epath.Path(folder)
        return
    folder = final / f"{_STAGED_SHARD_PREFIX}{uuid.uuid4().hex}"
    # Without its parents: once the build is over, a late attempt must not recreate it.
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.rmtree(missing_ok=True)


def _not_planned(
    path: str, planned: tuple[str, int] | None, got: tuple[str, int] | None
) -> WriteError:
    described = [
        f"{record[0]} in a record of {record[1]:,} bytes" if record else "no more"
        for record in (planned, got)
    ]
    return WriteError(
        path,
        f"should contain {described[0]}, but _generate_examples yielded {described[1]}",
        "A subclass that changes the examples must change the plan too",
    )


class Duplicates:
    """Compares the bytes of a split's images; may be used from any thread.

    Only images of equal length can be equal, so only those are hashed. CRC-32C and
    length together suffice: among a million images they coincide by chance once in
    thousands of builds, and one pair changes nothing.
    """

    def __init__(
        self, path: os.PathLike[str] | str, split: str, sizes: npt.NDArray[np.int64]
    ):
        """Takes where the images of a split are, and the length of each in bytes."""
        values, counts = np.unique(sizes, return_counts=True)
        self._shared_sizes = frozenset(values[counts > 1].tolist())
        self._num_images = len(sizes)
        self._path = path
        self._split = split
        self._names: dict[tuple[int, int], list[str]] = {}
        self._lock = threading.Lock()

    def add(self, name: str, data: bytes) -> None:
        """Notes the bytes of an image."""
        if len(data) in self._shared_sizes:
            key = len(data), google_crc32c.value(data)
            with self._lock:
                self._names.setdefault(key, []).append(name)

    def finish(self) -> None:
        """Compares all images; warns if three or more have the same bytes.

        Raises:
          ArchiveError: if more than 1 % of the images share their bytes with another
            one, and more than a tenth of these are copies of the same image.
        """
        copies = [names for names in self._names.values() if len(names) > 1]
        num_shared = sum(map(len, copies))
        most = max(copies, key=len, default=[])
        has_placeholder = len(most) > _PLACEHOLDER_SHARE * num_shared
        what = (
            f"{num_shared:,} of {self._num_images:,} {self._split} images share their "
            f"bytes with another one, for example {first_of(sorted(most))}"
        )
        accepted = max(_MAX_IMAGES, _MAX_SHARE * self._num_images)
        if num_shared > accepted and has_placeholder:
            raise ArchiveError(
                self._path,
                f"contains the same bytes under several names: {what}",
                'Look at one of them: it may be a placeholder of a website ("photo no '
                'longer available"). Extract or download the original images again',
            )
        if len(most) >= _COPIES_TO_WARN_OF:
            logging.warning("%s: %s. The dataset contains all.", self._path, what)
