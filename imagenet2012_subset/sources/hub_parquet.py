"""The parquet files of imagenet-1k on the Hugging Face hub, as a source."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import glob
import itertools
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epath

from imagenet2012_subset.errors import (
    LEAVE_ALONE,
    ArchiveError,
    ManualDirError,
    WriteError,
    counted,
    first_line,
    first_of,
    install,
)
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import (
    TRAINING,
    LabelOf,
    Original,
    label_function,
)
from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.sources.index_cache import IndexedSource
from imagenet2012_subset.sources.source import Entries, Entry, Index
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.folders import entries_of, in_threads
from imagenet2012_subset.storage.open import find_files
from imagenet2012_subset.storage.paths import dangling_link, free_bytes

_FILE_NAME = re.compile(r"(train|validation)-\d{5}-of-(\d{5})\.parquet", re.ASCII)
_IN_HUB_CACHE = ("snapshots/*/data", "datasets--ILSVRC--imagenet-1k/snapshots/*/data")

# The hub's folder has 336 files: this many entries are enough to recognize a folder of
# a million images as a different one.
_GLANCE = 4096

# Each decodes a row group at a time: 100 images, some 30 MB of memory.
_THREADS = 8
_BATCH_ROWS = 128

_NAME_COLUMNS = ["image.path", "label"]
_COLUMNS = ["image.bytes", *_NAME_COLUMNS]

# The seal of a row whose image has not been copied yet.
_NOT_STAGED = -1


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
    return max((_files_in(one, _split(original)) for one in folders), key=len)


def _files_in(folder: str, split: str) -> list[str]:
    try:
        first = itertools.islice(entries_of(folder), _GLANCE)
        file_names = sorted(os.fsdecode(entry.name) for entry in first)
    except OSError:
        return []
    matches = [match for name in file_names if (match := _FILE_NAME.fullmatch(name))]
    return [os.path.join(folder, match[0]) for match in matches if match[1] == split]


def _split(original: Original) -> str:
    """Returns the hub's name for a split."""
    return "train" if original == TRAINING else "validation"


class HubParquet(IndexedSource):
    """The images of a split, in the order of the files and their rows.

    pyarrow decodes whole row groups, so images cannot be read at random. `stage` copies
    them into one file that supports random access. Before that, the offset of an entry
    is the number of its row, counted from 0, and its size the average in its file.
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

    @property
    def form(self) -> str:
        return f"{counted(len(self.table), 'parquet file')} of the Hugging Face hub"

    @property
    def remedy(self) -> str:
        return (
            "Download the files again: hf download ILSVRC/imagenet-1k --repo-type "
            f"dataset --include 'data/{_split(self.original)}-*'"
        )

    def describe(self) -> str:
        files = counted(len(self.table), "parquet file")
        return f"it has {files} with {counted(len(self.index.entries), 'image')}"

    def stage(self, entries: Entries, directory: epath.Path) -> Entries:
        """Copies the images into one file in the directory.

        Raises:
          WriteError: if there is not enough space, before any image is read; or if the
            copy cannot be written.
          ArchiveError: if a file cannot be read, or changed since its names were read.
        """
        _ensure_space(entries, directory)
        split = _split(self.original)
        used = np.unique(entries.files)
        per_file = [np.flatnonzero(entries.files == file) for file in used]
        columns = np.empty((3, len(entries)), np.int64)
        bar = progress_bar(
            total=len(entries),
            desc=f"Copying {split} images",
            unit=" images",
            leave=False,
        )
        with bar, Spool(os.path.abspath(directory / f"{split}.images")) as spool:
            pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
            try:
                copy = functools.partial(self._copy, spool)
                copies = pool.map(copy, map(entries.take, per_file))
                for indices, copied in zip(per_file, copies, strict=True):
                    columns[:, indices] = copied
                    bar.update(len(indices))
            finally:
                spool.stop()
                pool.shutdown(cancel_futures=True)
        files = np.zeros(len(entries), np.int32)
        return Entries(find_files([spool.path]), entries.names, files, *columns)

    def read_images(self, entries: Entries) -> Iterator[bytes]:
        ranges = [Range(entry.file, entry.offset, entry.size) for entry in entries]
        with Files(entries.table) as files:
            images = read_in_order(files, ranges)
            for entry, data in zip(entries, images, strict=True):
                if zlib.crc32(data) != entry.seal:
                    raise ArchiveError(
                        entry.path,
                        f"no longer contains {entry.name} at byte {entry.offset:,}",
                        "Check the disk, then build again",
                    )
                yield data

    def where(self, entry: Entry) -> str:
        path, row = self._place(entry)
        return f"row {row:,} of {os.path.basename(path)}"

    def damaged(self, entry: Entry, problem: str) -> ArchiveError:
        path, row = self._place(entry)
        return self._in_row(path, row, f"({entry.name}) {problem}")

    def _place(self, entry: Entry) -> tuple[str, int]:
        """Returns the parquet file and the row of an image, staged or not."""
        if entry.seal != _NOT_STAGED:
            entry = self.look_up([entry.name])[0]
        return entry.path, entry.offset

    def _in_row(self, path: str, row: int, problem: str) -> ArchiveError:
        return ArchiveError(path, f"row {row:,} {problem}", self.remedy)

    def _find_images(self) -> Index:
        found = in_threads(self._read_names, range(len(self.table)), at_a_time=1)
        counts = [len(image_names) for image_names, _ in found]
        averages = [num_bytes // max(1, len(names)) for names, num_bytes in found]
        return Index(
            Entries(
                self.table,
                np.array([name for file_names, _ in found for name in file_names], "S"),
                np.repeat(np.arange(len(counts), dtype=np.int32), counts),
                np.array([row for count in counts for row in range(count)], np.int64),
                np.repeat(np.array(averages, np.int64), counts),
                np.full(sum(counts), _NOT_STAGED, np.int64),
            )
        )

    def _read_names(self, file: int) -> tuple[list[bytes], int]:
        """Returns the name of the image in each row, and the length of all images."""
        table = self.table.take(np.array([file]))
        label_of = label_function(self.original)
        found: list[bytes] = []
        with self._open(table) as parquet:
            for batch in parquet.iter_batches(columns=_NAME_COLUMNS, use_threads=False):
                labels = batch.column("label").to_pylist()
                for path, label in zip(_paths(batch), labels, strict=True):
                    try:
                        found.append(_verified_name(path, label, label_of))
                    except ValueError as error:
                        row = len(found)
                        raise self._in_row(table.paths[0], row, str(error)) from error
            return found, _image_bytes(parquet)

    def _copy(self, spool: Spool, entries: Entries) -> npt.NDArray[np.int64]:
        """Copies images of one file; returns offsets, sizes, seals: shape (3, n)."""
        (path,) = entries.table.paths
        columns = np.empty((3, len(entries)), np.int64)
        index_of_row = {row: i for i, row in enumerate(entries.offsets.tolist())}
        with self._open(entries.table) as parquet:
            for first_row, batch in _image_batches(parquet, [*index_of_row]):
                paths, images = _paths(batch), _field(batch, "bytes")
                for at in range(len(batch)):
                    row = first_row + at
                    if (i := index_of_row.pop(row, None)) is None:
                        continue
                    # The name that is stored with these bytes now.
                    image = names.parse_path(paths[at] or b"")
                    if not image or image.name != entries.names[i]:
                        name = entries.names[i].decode()
                        raise self._in_row(path, row, f"does not contain {name}")
                    if (data := images[at].as_buffer()) is None:
                        raise self._in_row(path, row, "has a path but no image")
                    columns[:, i] = spool.append(data), len(data), zlib.crc32(data)
        if index_of_row:
            raise self._in_row(path, min(index_of_row), "is missing")
        return columns

    def _ensure_complete(self, paths: Sequence[str]) -> None:
        present = {os.path.basename(path) for path in paths}
        totals = sorted({name[-len("00294.parquet") :][:5] for name in present})
        if len(totals) > 1:
            raise ArchiveError(
                self.path,
                f"contains files of several revisions (-of-{', -of-'.join(totals)})",
                "Move those of all but one away",
            )
        expected = {
            f"{_split(self.original)}-{number:05d}-of-{totals[0]}.parquet"
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

    @contextlib.contextmanager
    def _open(self, table: FileTable) -> Iterator[Any]:
        """Opens the only file of a table as a `pyarrow.parquet.ParquetFile`.

        Raises:
          ArchiveError: if it cannot be opened, changed, or has other columns; also in
            place of any error of pyarrow's while it is open.
        """
        import pyarrow
        from pyarrow import parquet

        (path,) = table.paths
        if not find_files([path]).same_versions(table):
            problem = "was written to or replaced while it was in use"
            raise ArchiveError(path, problem, f"Find the cause; {LEAVE_ALONE}")
        try:
            with parquet.ParquetFile(path) as file:
                present = [column.path for column in file.schema]
                if not set(_COLUMNS) <= set(present):
                    expected = ", ".join(_COLUMNS)
                    problem = f"has the columns {', '.join(present)}, not {expected}"
                    raise ArchiveError(path, problem, self.remedy)
                yield file
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            problem = f"is cut off, damaged or not a parquet file ({first_line(error)})"
            raise ArchiveError(path, problem, self.remedy) from error


class Spool:
    """A new file to which threads append; an exception removes it."""

    def __init__(self, path: str):
        self.path = path
        self._lock = threading.Lock()
        self._end = 0
        self._stopped = False

    def __enter__(self) -> Spool:
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._fd)
        if error:
            os.unlink(self.path)

    def stop(self) -> None:
        """Makes later calls of `append` raise an error, which ends other threads."""
        self._stopped = True

    def append(self, data: Any) -> int:
        """Writes a buffer, and returns the offset of its first byte.

        Raises:
          WriteError: if the disk is full or fails.
          RuntimeError: after `stop`.
        """
        if self._stopped:
            raise RuntimeError(f"{self.path} is no longer written")
        rest = memoryview(data)
        with self._lock:
            start = at = self._end
            self._end += len(rest)
        try:
            while rest:
                written = os.pwrite(self._fd, rest, at)
                rest, at = rest[written:], at + written
        except OSError as error:
            raise self._unwritable(error) from error
        return start

    def _unwritable(self, error: OSError) -> WriteError:
        return WriteError(
            self.path,
            f"cannot be written ({error.strerror or error})",
            "Check that the disk has space and that data_dir is writable",
        )


def _image_batches(file: Any, rows: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Reads the images of the row groups that contain these rows, in file order.

    pyarrow reads and decodes a whole row group, even if only a few rows are needed.

    Yields:
      The number of a row, and a `pyarrow.RecordBatch` that starts with this row.
    """
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    starts = np.cumsum([0, *(group.num_rows for group in groups)])
    for number in np.unique(np.searchsorted(starts, rows, side="right") - 1).tolist():
        first_row = int(starts[number])
        for batch in file.iter_batches(
            _BATCH_ROWS, row_groups=[number], columns=["image"], use_threads=False
        ):
            yield first_row, batch
            first_row += len(batch)


def _image_bytes(file: Any) -> int:
    """Returns the length in bytes of all images in a file."""
    column = [column.path for column in file.schema].index("image.bytes")
    return sum(
        file.metadata.row_group(i).column(column).total_uncompressed_size
        for i in range(file.metadata.num_row_groups)
    )


def _ensure_space(entries: Entries, directory: epath.Path) -> None:
    """Checks that there is space for a copy of the images and for the dataset.

    Raises:
      WriteError: if there is not.
    """
    needed = 2 * int(entries.sizes.sum())
    free = free_bytes(directory)
    if free is not None and free < needed:
        raise WriteError(
            directory,
            f"has {free:,} bytes free, but a copy of the images and the dataset take "
            f"about {needed:,}",
            f"Free {needed - free:,} bytes, or give another data_dir",
        )


def _ensure_pyarrow(folder: epath.Path) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ManualDirError(
            folder,
            f"contains parquet files, but pyarrow is not available ({error})",
            install("pyarrow", "parquet"),
        ) from error


def _field(batch: Any, name: str) -> Any:
    """Returns a field of the column `image`; null if the whole value is null."""
    import pyarrow.compute

    return pyarrow.compute.struct_field(batch.column("image"), [name])


def _paths(batch: Any) -> list[bytes | None]:
    # As bytes, since a damaged file may contain invalid UTF-8.
    return _field(batch, "path").cast("binary").to_pylist()


def _verified_name(path: bytes | None, label: Any, label_of: LabelOf) -> bytes:
    """Returns the name in ImageNet of a row's image.

    Raises:
      ValueError: if it is not an image to which `label_of` gives this label; continues
        the sentence "row 5 ...".
    """
    if path is None:
        raise ValueError("has no path")
    shown = path.decode(errors="replace")
    image = names.parse_path(path)
    expected = label_of(image.name) if image else None
    if image is None or expected is None:
        raise ValueError(f"has the path {shown}, which names no image of this split")
    wnids = names.wnids()
    if image.appended and image.appended.decode() != wnids[expected]:
        raise ValueError(
            f"has the path {shown}, but the image belongs to {wnids[expected]}"
        )
    if not isinstance(label, int) or label != expected:
        is_known = isinstance(label, int) and 0 <= label < len(wnids)
        of = f", which is {wnids[label]}" if is_known else ""
        raise ValueError(f"has the path {shown}, but the label {label}{of}")
    return image.name
