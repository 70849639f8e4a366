"""The records of `imagenet2012`, in the two formats in which TFDS stores them.

A record is a serialized `tf.train.Example`: a map from names to features, in an order
that differs between records. Each level is a field: a tag, the length of its content,
and the content.
"""

from __future__ import annotations

import abc
import itertools
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import google_crc32c
import numpy as np

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.imagenet.names import LabelOf
from imagenet2012_subset.sources.source import Entry
from imagenet2012_subset.storage.files import FileTable, Range, read_in_order
from imagenet2012_subset.storage.in_step import OnProgress, Walk, Walks
from imagenet2012_subset.storage.open import ensure_unchanged, open_files
from imagenet2012_subset.storage.paths import in_threads

DAMAGED = (
    "Copy the file again from where it was prepared, or prepare the dataset again "
    "(tfds build imagenet2012 --overwrite)"
)
_OTHER_FEATURES = "does not contain file_name, image and label"
_OTHER_RECORD = "is not the one that was found there"
_WRONG_CHECKSUM = "does not match its checksum"

_VARINT = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_EXAMPLE = re.compile(rb"\x0a(" + _VARINT + rb")")  # Example.features
_FEATURE = re.compile(
    rb"\x0a(" + _VARINT + rb")"  # Features.feature: an entry of the map
    + rb"\x0a(\x09file_name|\x05image|\x05label)"  # its key, after its length
    + rb"\x12" + _VARINT  # its value, a Feature
    + rb"([\x0a\x1a])" + _VARINT  # Feature.bytes_list or Feature.int64_list
    + rb"\x0a(" + _VARINT + rb")"  # what this list contains
)  # fmt: skip
_FILE_NAME, _IMAGE, _LABEL = b"\x09file_name", b"\x05image", b"\x05label"
_INT64_LIST = b"\x1a"
_MAX_VALUE = 32  # The longest name or label, in bytes.
# No feature without an image's bytes is longer, in bytes.
_MAX_FEATURE = 80

# A TFRecord file has the length of each record and a checksum of the length in front of
# it, and a checksum of the record behind it.
_FRAME = struct.Struct("<QI")
_LENGTH_BYTES = 8
_CRC = struct.Struct("<I")
# More bytes than from the end of an image to the start of the next one, so that a
# record costs one read.
_WINDOW = 256

_ARRAY_RECORD_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"


class RecordError(Exception):
    """A record is damaged; the message continues "this record ..."."""


class Example:
    """The features of one record, as far as they are parsed.

    Attributes:
      name: the image's file name.
      label: its class.
      offset: of the image's first byte, in bytes.
      size: the image's length in bytes.
    """

    __slots__ = ("label", "name", "offset", "size")

    def __init__(self) -> None:
        self.name = b""
        self.label = self.offset = self.size = -1

    def parse_feature(self, data: bytes, at: int, start: int = 0) -> int:
        """Parses a feature; of the image, only the part before its bytes.

        Args:
          data: a part of a file.
          at: the position of the feature in `data`.
          start: the position of `data` in the file.

        Returns:
          The end of the feature in `data`, which may be past the end of `data`.

        Raises:
          RecordError: if it is not one of the three features, or was parsed before.
        """
        if not (match := _FEATURE.match(data, at)):
            raise RecordError(_OTHER_FEATURES)
        length, key, kind, value_length = match.groups()
        value, size = match.end(), _number(value_length)
        end = value + size
        ends_together = end == match.end(1) + _number(length)
        if not ends_together or (kind == _INT64_LIST) != (key == _LABEL):
            raise RecordError(_OTHER_FEATURES)
        if key == _IMAGE and self.size < 0:
            self.offset, self.size = start + value, size
        elif size > _MAX_VALUE or end > len(data):
            raise RecordError(_OTHER_FEATURES)
        elif key == _FILE_NAME and not self.name:
            self.name = data[value:end]
        elif key == _LABEL and self.label < 0:
            self.label = _number(data[value:end])
        else:
            raise RecordError(_OTHER_FEATURES)
        return end

    def check(self, label_of: LabelOf) -> None:
        """Checks that nothing is missing, and that name and label agree.

        Raises:
          RecordError: if something is missing, or they disagree.
        """
        if not self.name or self.label < 0 or self.size < 0:
            raise RecordError(_OTHER_FEATURES)
        label = label_of(self.name)
        if label == self.label:
            return
        name = self.name.decode(errors="replace")
        if label is None:
            raise RecordError(f"contains {name}, which is not an image of this split")
        raise RecordError(
            f"labels {name} as class {self.label}, but it belongs to class {label}"
        )


def _parse_example(data: bytes, start: int, end: int, label_of: LabelOf) -> Example:
    """Parses a whole record, which is from `start` to `end` in `data`.

    Raises:
      RecordError: if it is not an example of the split.
    """
    example = Example()
    at = _first_feature(data, start, end)
    while at < end:
        at = example.parse_feature(data, at)
    if at > end:
        raise RecordError(_OTHER_FEATURES)
    example.check(label_of)
    return example


def _first_feature(data: bytes, at: int, end: int) -> int:
    """Returns the position of the first feature of a record from `at` to `end`."""
    match = _EXAMPLE.match(data, at)
    if not match or match.end() + _number(match[1]) != end:
        raise RecordError(_OTHER_FEATURES)
    return match.end()


def _number(varint: bytes) -> int:
    """Decodes a protobuf varint: seven bits a byte, the lowest first."""
    if len(varint) == 1:
        return varint[0]
    number = 0
    for byte in reversed(varint):
        number = number << 7 | byte & 0x7F
    return number


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
                walks.add(_walk_file(walks, table, file, records, label_of))
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


def _walk_file(
    walks: Walks, table: FileTable, file: int, records: Records, label_of: LabelOf
) -> Walk:
    """Walks from image to image, in steps that `walks` runs."""
    size = int(table.sizes[file])
    data, position = b"", 0  # What was read last, and where in the file it starts.
    at = start = end = 0
    example = Example()
    try:
        while at < size:
            if at + _MAX_FEATURE > position + len(data) < size:
                data = yield file, at, min(_WINDOW, size - at)
                position = at
            here = at - position
            if at == end:
                start, example = at, Example()
                if here + _FRAME.size > len(data):
                    raise RecordError("is cut off in its length")
                # The record itself contains its length again, so the checksum of the
                # length can wait.
                length, _ = _FRAME.unpack_from(data, here)
                end = start + _FRAME.size + length + _CRC.size
                if end > size:
                    raise RecordError(
                        f"is cut off: it takes {end - start:,} bytes, but the file "
                        f"ends at byte {size:,}"
                    )
                here = _first_feature(
                    data, here + _FRAME.size, end - _CRC.size - position
                )
                at = position + here
            elif at < end - _CRC.size:
                at = position + example.parse_feature(data, here, position)
                if at > end - _CRC.size:
                    raise RecordError(_OTHER_FEATURES)
            else:
                example.check(label_of)
                (crc,) = _CRC.unpack_from(data, here)
                before = example.offset - start
                after = end - example.offset - example.size
                records.names.append(example.name)
                records.offsets.append(example.offset)
                records.sizes.append(example.size)
                records.seals.append(crc << 24 | before << 12 | after)
                walks.passed += end - start
                at = end
    except RecordError as error:
        problem = f"record {len(records.names):,} at byte {start:,} {error}"
        raise ArchiveError(table.paths[file], problem, DAMAGED) from error


def _verified(data: bytes, seal: int, label_of: LabelOf) -> tuple[bytes, bytes]:
    """Returns the name and the bytes of the image in a record with its frame."""
    sealed_crc, before, after = _unsealed(seal)
    end = len(data) - _CRC.size
    length, length_crc = _FRAME.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, end)
    if (length, crc) != (end - _FRAME.size, sealed_crc):
        raise RecordError(_OTHER_RECORD)
    # In three parts, because only the image's bytes are used again.
    image = data[before:-after]
    parts = data[_FRAME.size : before], image, data[-after : -_CRC.size]
    if crc != _masked_crc(*parts) or length_crc != _masked_crc(data[:_LENGTH_BYTES]):
        raise RecordError(_WRONG_CHECKSUM)
    example = _parse_example(data, _FRAME.size, end, label_of)
    if (example.offset, example.size) != (before, len(image)):
        raise RecordError(_OTHER_RECORD)
    return example.name, image


def _masked_crc(*parts: bytes) -> int:
    """Returns the checksum that TFRecord stores: CRC-32C, rotated and shifted."""
    crc = 0
    for part in parts:
        crc = google_crc32c.extend(crc, part)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _unsealed(seal: int) -> tuple[int, int, int]:
    return seal >> 24, seal >> 12 & 0xFFF, seal & 0xFFF


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
                    example = _parse_example(data, 0, len(data), label_of)
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
                example = _parse_example(data, 0, len(data), label_of)
                end = example.offset + example.size
                yield example.name, data[example.offset : end]

    def where(self, entry: Entry) -> str:
        return f"record {entry.seal:,}"


def _open_array_record(table: FileTable, file: int) -> Any:
    from array_record.python import array_record_module

    path = table.paths[file]
    ensure_unchanged(table.take(np.array([file])))
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
