"""The parquet files of imagenet-1k on the Hugging Face hub, as a source."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import glob
import itertools
import os
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epath

from imagenet2012_subset.errors import (
    ArchiveError,
    ManualDirError,
    WriteError,
    counted,
    first_line,
    first_of,
    install,
)
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import LabelOf, Original, label_function
from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.sources.index_cache import IndexedSource
from imagenet2012_subset.sources.source import Entries, Entry, Index
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.open import ensure_unchanged, find_files
from imagenet2012_subset.storage.paths import dangling_link, entries_of, in_threads

_FILE_NAME = re.compile(r"(train|validation)-\d{5}-of-(\d{5})\.parquet", re.ASCII)
_IN_HUB_CACHE = ("snapshots/*/data", "datasets--ILSVRC--imagenet-1k/snapshots/*/data")

# The hub's folder has 336 files: this many entries are enough to recognize a folder of
# a million images as a different one.
_GLANCE = 4096

# Each reads a row group at a time: 100 images, some 30 MB of memory.
_THREADS = 4
_BATCH_ROWS = 128

_NAME_COLUMNS = ["image.path", "label"]
_IMAGE_COLUMN = "image.bytes"

# Seals are the number of a file, times this, plus the number of a row.
_MAX_ROWS = 1 << 32


def find_parquet_files(manual_dir: epath.PathLike, original: Original) -> list[str]:
    """Returns the parquet files of a split, sorted; looks only at names.

    Args:
      manual_dir: the folder that contains the files, the one above it (`data/`), the
        hub's cache of the dataset, or the folder of the hub's caches.
      original: the published archive of the split.
    """
    folder = os.fspath(manual_dir)
    folders = [folder, os.path.join(folder, "data")]
    for pattern in _IN_HUB_CACHE:
        folders += sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
    # The hub's cache can contain several revisions, some of them incomplete.
    return max((_files_in(one, original.split) for one in folders), key=len)


def _files_in(folder: str, split: str) -> list[str]:
    try:
        first = itertools.islice(entries_of(folder), _GLANCE)
        file_names = sorted(os.fsdecode(entry.name) for entry in first)
    except OSError:
        return []
    matches = [match for name in file_names if (match := _FILE_NAME.fullmatch(name))]
    return [os.path.join(folder, match[0]) for match in matches if match[1] == split]


class HubParquet(IndexedSource):
    """The images of a split, in the order of the files and their rows.

    pyarrow decodes whole row groups, so images cannot be read at random. `stage` copies
    them into one file that supports random access. Before that, the offset of an entry
    is 0, and its size the average of its file. Its seal is always the number of its
    parquet file and of its row.
    """

    def __init__(self, paths: Sequence[str], original: Original):
        """Looks up the files; reads nothing yet.

        Args:
          paths: what `find_parquet_files` returned; at least one.
          original: the published archive that has the same images.

        Raises:
          ManualDirError: if pyarrow is not installed.
          ArchiveError: if files are missing, or one cannot be looked up.
        """
        self.path = epath.Path(os.path.dirname(paths[0]))
        self.original = original
        _ensure_pyarrow(self.path)
        self._ensure_complete(paths)
        self.table = find_files(paths)

    def _ensure_complete(self, paths: Sequence[str]) -> None:
        present = {os.path.basename(path) for path in paths}
        totals = sorted({_FILE_NAME.sub(r"\2", name) for name in present})
        if len(totals) > 1:
            raise ArchiveError(
                self.path,
                f"contains files of several revisions (-of-{', -of-'.join(totals)})",
                "Move those of all but one away",
            )
        expected = {
            f"{self.original.split}-{number:05d}-of-{totals[0]}.parquet"
            for number in range(int(totals[0]))
        }
        if missing := sorted(expected - present):
            raise ArchiveError(
                self.path,
                f"is missing {len(missing)} of {counted(len(expected), 'file')} "
                f"({first_of(missing)})",
                self.remedy,
            )
        for path in paths:
            if target := dangling_link(epath.Path(path)):
                raise ArchiveError(path, f"is a broken link to {target}", self.remedy)

    @property
    def form(self) -> str:
        return f"{counted(len(self.table), 'parquet file')} of the Hugging Face hub"

    @property
    def remedy(self) -> str:
        return (
            "Download the files again: hf download ILSVRC/imagenet-1k --repo-type "
            f"dataset --include 'data/{self.original.split}-*'"
        )

    def describe(self) -> str:
        files = counted(len(self.table), "parquet file")
        return f"it has {files} with {counted(len(self.index.entries), 'image')}"

    def _find_images(self) -> Index:
        found = in_threads(self._read_names, range(len(self.table)), at_a_time=1)
        counts = np.array([len(in_file) for in_file in found])
        averages = self.table.sizes // np.maximum(1, counts)
        files = np.repeat(np.arange(len(found)), counts)
        rows = np.concatenate([np.arange(count) for count in counts])
        return Index(
            Entries(
                self.table,
                np.array([*itertools.chain.from_iterable(found)], "S"),
                files.astype(np.int32),
                np.zeros(len(files), np.int64),
                np.repeat(averages, counts),
                files * _MAX_ROWS + rows,
            )
        )

    def _read_names(self, file: int) -> list[bytes]:
        """Returns the name of the image in each row of a file."""
        table = self.table.take(np.array([file]))
        label_of = label_function(self.original)
        found: list[bytes] = []
        with self._open(table) as parquet:
            for batch in parquet.iter_batches(columns=_NAME_COLUMNS, use_threads=False):
                # As bytes, since a damaged file may contain invalid UTF-8.
                paths = _field_of_image(batch, "path").cast("binary").to_pylist()
                labels = batch.column("label").to_pylist()
                for path, label in zip(paths, labels, strict=True):
                    try:
                        found.append(_verified_name(path, label, label_of))
                    except ValueError as error:
                        raise self._in_row(file, len(found), str(error)) from error
        return found

    def num_bytes_to_stage(self, entries: Entries) -> int:
        return int(entries.sizes.sum())

    def stage(self, entries: Entries, directory: epath.Path) -> Entries:
        """Copies the images into one file in the directory.

        Raises:
          WriteError: if the copy cannot be written.
          ArchiveError: if a file cannot be read, or changed since its names were read.
        """
        split = self.original.split
        spool = Spool(os.path.abspath(directory / f"{split}.images"))
        copy = functools.partial(self._copy, spool)
        per_file = [
            np.flatnonzero(entries.files == i) for i in np.unique(entries.files)
        ]
        offsets, sizes = columns = np.empty((2, len(entries)), np.int64)
        pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
        with progress_bar(
            total=len(entries),
            desc=f"Copying {split} images",
            unit=" images",
            leave=False,
        ) as bar:
            try:
                copies = pool.map(copy, map(entries.take, per_file))
                for indices, copied in zip(per_file, copies, strict=True):
                    columns[:, indices] = copied
                    bar.update(len(indices))
                    bar.set_postfix_str(f"{spool.size / 1e9:.1f} GB")
            finally:
                spool.close()  # After an error, this ends the other threads.
                pool.shutdown(cancel_futures=True)
        table = find_files([spool.path])
        files = np.zeros(len(entries), np.int32)
        return Entries(table, entries.names, files, offsets, sizes, entries.seals)

    def _copy(self, spool: Spool, entries: Entries) -> npt.NDArray[np.int64]:
        """Copies images of one file; returns offsets and sizes: int64, shape (2, n)."""
        rows = entries.seals % _MAX_ROWS
        offsets, sizes = columns = np.zeros((2, len(rows)), np.int64)
        with self._open(entries.table) as parquet:
            for i, image in enumerate(_read_images(parquet, rows)):
                if image is None:
                    file = int(entries.seals[i]) // _MAX_ROWS
                    raise self._in_row(file, int(rows[i]), "has a path but no image")
                offsets[i], sizes[i] = spool.append(image), len(image)
        return columns

    def read_images(self, entries: Entries) -> Iterator[bytes]:
        ranges = [Range(entry.file, entry.offset, entry.size) for entry in entries]
        with Files(entries.table) as files:
            yield from read_in_order(files, ranges)

    def where(self, entry: Entry) -> str:
        file, row = divmod(entry.seal, _MAX_ROWS)
        return f"row {row:,} of {os.path.basename(self.table.paths[file])}"

    def damaged(self, entry: Entry, problem: str) -> ArchiveError:
        return self._in_row(*divmod(entry.seal, _MAX_ROWS), f"({entry.name}) {problem}")

    def _in_row(self, file: int, row: int, problem: str) -> ArchiveError:
        return ArchiveError(
            self.table.paths[file], f"row {row:,} {problem}", self.remedy
        )

    @contextlib.contextmanager
    def _open(self, table: FileTable) -> Iterator[Any]:
        """Opens the only file of a table as a `pyarrow.parquet.ParquetFile`.

        Raises:
          ArchiveError: if it cannot be opened, has other columns, or changed, also
            while it is open; and in place of any error of pyarrow's.
        """
        import pyarrow
        from pyarrow import parquet

        (path,) = table.paths
        ensure_unchanged(table)
        try:
            with parquet.ParquetFile(path) as file:
                present = [column.path for column in file.schema]
                expected = [_IMAGE_COLUMN, *_NAME_COLUMNS]
                if not set(expected) <= set(present):
                    problem = f"has the columns {', '.join(present)}, not "
                    raise ArchiveError(path, problem + ", ".join(expected), self.remedy)
                yield file
                ensure_unchanged(table)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            problem = f"is cut off, damaged or not a parquet file ({first_line(error)})"
            raise ArchiveError(path, problem, self.remedy) from error


class Spool:
    """A new file to which threads append.

    Attributes:
      size: its length in bytes.
    """

    def __init__(self, path: str):
        self.path = path
        self._lock = threading.Lock()
        self.size = 0
        with self._explaining():
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115

    def append(self, data: Any) -> int:
        """Writes a buffer, and returns the offset of its first byte.

        Raises:
          WriteError: if the disk is full or fails.
          ValueError: after `close`.
        """
        rest = memoryview(data)
        with self._lock, self._explaining():
            start = self.size
            while rest:
                written = self._file.write(rest)
                self.size += written
                rest = rest[written:]
        return start

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._file.close()

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(
                self.path,
                f"cannot be written ({error.strerror or error})",
                "Check that the disk has space and that data_dir is writable",
            ) from error


def _read_images(file: Any, rows: npt.NDArray[np.int64]) -> Iterator[Any]:
    """Yields the images in these rows, in ascending order, as buffers or None.

    pyarrow reads and decodes a whole row group, even if only a few rows are needed.
    """
    metadata = file.metadata
    counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    starts = np.cumsum([0, *counts])
    groups = np.unique(np.searchsorted(starts, rows, side="right") - 1).tolist()
    decoded = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in groups])
    wanted = collections.deque(np.searchsorted(decoded, rows).tolist())
    first = 0
    for batch in file.iter_batches(
        _BATCH_ROWS, row_groups=groups, columns=[_IMAGE_COLUMN], use_threads=False
    ):
        images = _field_of_image(batch, "bytes")
        while wanted and wanted[0] < first + len(batch):
            yield images[wanted.popleft() - first].as_buffer()
        first += len(batch)


def _ensure_pyarrow(folder: epath.Path) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ManualDirError(
            folder,
            f"contains parquet files, but pyarrow is not available ({error})",
            install("pyarrow", "parquet"),
        ) from error


def _field_of_image(batch: Any, name: str) -> Any:
    """Returns a field of the column `image`; null if the whole value is null."""
    import pyarrow.compute

    return pyarrow.compute.struct_field(batch.column("image"), [name])


def _verified_name(path: bytes | None, label: Any, label_of: LabelOf) -> bytes:
    """Returns the name in ImageNet of a row's image.

    Raises:
      ValueError: if it is not an image to which `label_of` gives this label; continues
        the sentence "row 5 ...".
    """
    if path is None:
        raise ValueError("has no path")
    image = names.parse_path(path)
    expected = label_of(image.name) if image else None
    wnids = names.wnids()
    shown = path.decode(errors="replace")
    if image is None or expected is None:
        raise ValueError(f"has the path {shown}, which names no image of this split")
    if image.appended and image.appended.decode() != wnids[expected]:
        raise ValueError(
            f"has the path {shown}, but the image belongs to {wnids[expected]}"
        )
    if not isinstance(label, int) or label != expected:
        is_known = isinstance(label, int) and 0 <= label < len(wnids)
        of = f", which is {wnids[label]}" if is_known else ""
        raise ValueError(f"has the path {shown}, but the label {label}{of}")
    return image.name
