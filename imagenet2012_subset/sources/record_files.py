"""The two formats in which TFDS stores records: TFRecord and ArrayRecord."""

from __future__ import annotations

import abc
import itertools
import struct
from collections.abc import Generator, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError
from imagenet2012_subset.sources.example import (
    MAX_FEATURE,
    OTHER_FEATURES,
    Example,
    LabelOf,
    RecordError,
    first_feature,
    parse_example,
)
from imagenet2012_subset.sources.source import Entry
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.folders import in_threads
from imagenet2012_subset.storage.in_step import OnProgress, Walk, Walks
from imagenet2012_subset.storage.open import find_files, open_files

DAMAGED = (
    "Copy the file again from where it was prepared, or prepare the dataset again "
    "(tfds build imagenet2012 --overwrite)"
)
_WRONG_CHECKSUM = "does not match its checksum"
_ANOTHER_RECORD = "is not the one that was found there"

# A TFRecord file has the length of each record and a checksum of the length in front of
# it, and a checksum of the record behind it.
_FRAME = struct.Struct("<QI")
_LENGTH_BYTES = 8
_CRC = struct.Struct("<I")

# More bytes than from the end of an image to the start of the next one, so that a
# record costs one read.
_WINDOW = 256

# One record at a time takes the least CPU: several shards are written at a time.
_ARRAY_RECORD_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"


class Records(NamedTuple):
    """The images of one file, a list for each of the columns of `Entries`."""

    names: list[bytes]
    offsets: list[int]
    sizes: list[int]
    seals: list[int]


class RecordFormat(abc.ABC):
    """Finds and reads the images in files of one format.

    Attributes:
      title: the name of the format.
    """

    title: ClassVar[str]

    @abc.abstractmethod
    def walk(
        self, table: FileTable, label_of: LabelOf, on_progress: OnProgress
    ) -> list[Records]:
        """Returns the records of each file.

        Args:
          table: the files, all of one split.
          label_of: returns the label that an image must have.
          on_progress: called with the number of bytes passed since its last call.

        Raises:
          ArchiveError: if a file is cut off, or a record is damaged or is not an
            example of the split.
        """

    @abc.abstractmethod
    def read(
        self, table: FileTable, entries: Sequence[Entry], label_of: LabelOf
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yields the name and the bytes of the image of each entry.

        Raises:
          RecordError: if the next record does not match its checksum, is not the one
            that was found there, or is not an example of the split.
          ArchiveError: if a file cannot be read or has changed.
        """

    @abc.abstractmethod
    def where(self, entry: Entry) -> str:
        """Returns which record of its file an image is in."""


class TFRecord(RecordFormat):
    """Reads only what is between images, and the images that are needed.

    The seal of an image packs the checksum of its record, and how many bytes of the
    record are before and after the image.
    """

    title = "TFRecord"

    def walk(
        self, table: FileTable, label_of: LabelOf, on_progress: OnProgress
    ) -> list[Records]:
        each = [Records([], [], [], []) for _ in table.paths]
        with open_files(table) as files:
            walks = Walks(files, on_progress)
            for file, records in reversed([*enumerate(each)]):
                walks.add(_walk_file(walks, files, file, records, label_of))
            walks.run()
        return each

    def read(
        self, table: FileTable, entries: Sequence[Entry], label_of: LabelOf
    ) -> Iterator[tuple[bytes, bytes]]:
        ranges = []
        for entry in entries:
            _, before, after = _unsealed(entry.seal)
            size = before + entry.size + after
            ranges.append(Range(entry.file, entry.offset - before, size))
        with open_files(table) as files:
            for entry, data in zip(entries, read_in_order(files, ranges), strict=True):
                yield _verified(data, entry.seal, label_of)

    def where(self, entry: Entry) -> str:
        return f"at byte {entry.offset:,}"


class ArrayRecord(RecordFormat):
    """Reads whole records through the format's own reader.

    The seal of an image is the number of its record; its offset is unknown, and 0.
    """

    title = "ArrayRecord"

    def walk(
        self, table: FileTable, label_of: LabelOf, on_progress: OnProgress
    ) -> list[Records]:
        def walk_file(file: int) -> Records:
            reader = _open_array_record(table, file)
            records = Records([], [], [], [])
            for number in range(reader.num_records()):
                try:
                    data = _read_array_record(reader, number)
                    example = parse_example(data, 0, len(data), label_of)
                except RecordError as error:
                    problem = f"record {number:,} {error}"
                    raise ArchiveError(table.paths[file], problem, DAMAGED) from error
                records.names.append(example.name)
                records.offsets.append(0)
                records.sizes.append(example.size)
                records.seals.append(number)
            on_progress(int(table.sizes[file]))
            return records

        return in_threads(walk_file, range(len(table)), at_a_time=1)

    def read(
        self, table: FileTable, entries: Sequence[Entry], label_of: LabelOf
    ) -> Iterator[tuple[bytes, bytes]]:
        for file, in_file in itertools.groupby(entries, key=lambda entry: entry.file):
            reader = _open_array_record(table, file)
            for entry in in_file:
                data = _read_array_record(reader, entry.seal)
                example = parse_example(data, 0, len(data), label_of)
                end = example.offset + example.size
                yield example.name, data[example.offset : end]

    def where(self, entry: Entry) -> str:
        return f"record {entry.seal:,}"


class _Window:
    """The part of a file that a walk read last.

    Attributes:
      data: its bytes.
      start: its position in the file.
    """

    def __init__(self, file: int, file_size: int):
        self.data, self.start = b"", 0
        self._file, self._file_size = file, file_size

    def move_to(self, at: int) -> Generator[Range, bytes, None]:
        """Reads more, unless a whole frame or feature at this position was read."""
        end = self.start + len(self.data)
        if at + MAX_FEATURE > end and end < self._file_size:
            size = min(_WINDOW, self._file_size - at)
            self.data, self.start = (yield Range(self._file, at, size)), at


def _walk_file(
    walks: Walks, files: Files, file: int, records: Records, label_of: LabelOf
) -> Walk:
    """Walks from image to image, in steps that `walks` runs."""
    size = files.size(file)
    window = _Window(file, size)
    at = start = 0
    try:
        while at < size:
            start = at
            yield from window.move_to(at)
            end = start + _framed_length(window.data, at - window.start)
            if end > size:
                raise RecordError(
                    f"is cut off: it takes {end - _CRC.size - start:,} bytes, but the "
                    f"file ends at byte {size:,}"
                )
            end -= _CRC.size
            at += _FRAME.size - window.start
            at = window.start + first_feature(window.data, at, end - window.start)
            example = Example()
            while at < end:
                yield from window.move_to(at)
                first = window.start
                at = first + example.parse_feature(window.data, at - first, first)
            if at > end:
                raise RecordError(OTHER_FEATURES)
            example.check(label_of)
            yield from window.move_to(at)
            (crc,) = _CRC.unpack_from(window.data, at - window.start)
            at += _CRC.size
            before = example.offset - start
            after = at - example.offset - example.size
            records.names.append(example.name)
            records.offsets.append(example.offset)
            records.sizes.append(example.size)
            records.seals.append(crc << 24 | before << 12 | after)
            walks.passed += at - start
    except RecordError as error:
        problem = f"record {len(records.names):,} at byte {start:,} {error}"
        raise ArchiveError(files.path(file), problem, DAMAGED) from error


def _framed_length(data: bytes, at: int) -> int:
    """Returns the length of a record with its frame, which starts at this position."""
    if at + _FRAME.size > len(data):
        raise RecordError("is cut off in its length")
    # The record itself contains its length again, so this checksum can wait.
    length, _ = _FRAME.unpack_from(data, at)
    return _FRAME.size + int(length) + _CRC.size


def _verified(data: bytes, seal: int, label_of: LabelOf) -> tuple[bytes, bytes]:
    """Returns the name and the bytes of the image in a record with its frame."""
    sealed_crc, before, after = _unsealed(seal)
    end = len(data) - _CRC.size
    length, length_crc = _FRAME.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, end)
    if (length, crc) != (end - _FRAME.size, sealed_crc):
        raise RecordError(_ANOTHER_RECORD)
    # In three parts, because only the image's bytes are used again.
    image = data[before:-after]
    parts = data[_FRAME.size : before], image, data[-after : -_CRC.size]
    if crc != _masked_crc(*parts) or length_crc != _masked_crc(data[:_LENGTH_BYTES]):
        raise RecordError(_WRONG_CHECKSUM)
    example = parse_example(data, _FRAME.size, end, label_of)
    if (example.offset, example.size) != (before, len(image)):
        raise RecordError(_ANOTHER_RECORD)
    return example.name, image


def _masked_crc(*parts: bytes) -> int:
    """Returns the checksum that TFRecord stores: CRC-32C, rotated and shifted."""
    import google_crc32c

    crc = 0
    for part in parts:
        crc = google_crc32c.extend(crc, part)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _unsealed(seal: int) -> tuple[int, int, int]:
    return seal >> 24, seal >> 12 & 0xFFF, seal & 0xFFF


def _open_array_record(table: FileTable, file: int) -> Any:
    from array_record.python import array_record_module

    path = table.paths[file]
    if not find_files([path]).same_versions(table.take(np.array([file]))):
        problem = "was written to or replaced while it was in use"
        raise ArchiveError(path, problem, f"The file changed; {LEAVE_ALONE}")
    reader = array_record_module.ArrayRecordReader(path, _ARRAY_RECORD_OPTIONS)
    if not reader.ok():
        raise ArchiveError(path, "is not an ArrayRecord file, or is cut off", DAMAGED)
    return reader


def _read_array_record(reader: Any, number: int) -> bytes:
    try:
        reader.seek(number)
        return bytes(reader.read())
    except (RuntimeError, IndexError) as error:
        raise RecordError(_WRONG_CHECKSUM) from error
