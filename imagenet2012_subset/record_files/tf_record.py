"""TFRecord files: each record's length leads to the next record.

A file frames each record with its length and a checksum of the length in front, and a
checksum of the record behind.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from imagenet2012_subset.errors import ArchiveError
from imagenet2012_subset.record_files.example import (
    MAX_FEATURE,
    Example,
    LabelOf,
    RecordError,
    first_feature,
    other_features,
    parse_example,
)
from imagenet2012_subset.record_files.record_format import (
    DAMAGED,
    Place,
    RecordFormat,
    Records,
)
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.in_step import OnProgress, Walk, Walks
from imagenet2012_subset.storage.open import open_files

_FRAME = struct.Struct("<QI")
_LENGTH_BYTES = 8
_CRC = struct.Struct("<I")

# From the end of an image to the first byte of the next one there are fewer bytes, so a
# record costs one read.
_WINDOW = 256


class TFRecord(RecordFormat):
    """Reads nothing but the images that are needed, and what is between images."""

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

    def read(self, table: FileTable, places: Sequence[Place]) -> Iterator[bytes]:
        ranges = []
        for place in places:
            _, before, after = _unsealed(place.seal)
            size = before + place.size + after
            ranges.append(Range(place.file, place.offset - before, size))
        with open_files(table) as files:
            yield from read_in_order(files, ranges)

    def parse(
        self, place: Place, data: bytes, label_of: LabelOf
    ) -> tuple[bytes, bytes]:
        sealed_crc, before, after = _unsealed(place.seal)
        end = len(data) - _CRC.size
        length, length_crc = _FRAME.unpack_from(data)
        (crc,) = _CRC.unpack_from(data, end)
        if (length, crc) != (end - _FRAME.size, sealed_crc):
            raise RecordError("is not the one that was found there")
        # In three parts, as only the image's bytes are needed once more.
        image = data[before:-after]
        parts = data[_FRAME.size : before], image, data[-after : -_CRC.size]
        if crc != masked_crc(*parts) or length_crc != masked_crc(data[:_LENGTH_BYTES]):
            raise RecordError("does not match its checksum")
        example = parse_example(data, _FRAME.size, end, label_of)
        if (example.offset, example.size) != (before, len(image)):
            raise RecordError("is not the one that was found there")
        return example.name, image

    def where(self, place: Place) -> str:
        return f"at byte {place.offset:,}"


class _Window:
    """The part of a file that a walk has read last.

    Attributes:
      data: its bytes.
      start: its position in the file.
    """

    def __init__(self, file: int, file_size: int):
        self.data, self.start = b"", 0
        self._file, self._file_size = file, file_size
        self._last = -1

    def lacks(self, at: int) -> bool:
        """Whether a frame or a feature at this position may not be in the window."""
        return at > self._last

    def needed(self, at: int) -> Range:
        """Returns the range that starts at this position."""
        return Range(self._file, at, min(_WINDOW, self._file_size - at))

    def fill(self, at: int, data: bytes) -> None:
        """Takes the bytes of this range."""
        self.data, self.start = data, at
        end = at + len(data)
        self._last = end if end == self._file_size else end - MAX_FEATURE


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
            if window.lacks(at):
                window.fill(at, (yield window.needed(at)))
            first = window.start
            end = first + _record_end(window.data, at - first)
            if end + _CRC.size > size:
                raise RecordError(
                    f"is cut off: it takes {end - start:,} bytes, but the file ends "
                    f"at byte {size:,}"
                )
            at += _FRAME.size
            at = first + first_feature(window.data, at - first, end - first)
            example = Example()
            while at < end:
                if window.lacks(at):
                    window.fill(at, (yield window.needed(at)))
                first = window.start
                at = first + example.parse_feature(window.data, at - first, first)
            if at > end:
                raise other_features()
            example.check(label_of)
            if window.lacks(at):
                window.fill(at, (yield window.needed(at)))
            (crc,) = _CRC.unpack_from(window.data, at - window.start)
            at += _CRC.size
            before = example.offset - start
            after = at - example.offset - example.size
            records.names.append(example.name)
            records.offsets.append(example.offset)
            records.sizes.append(example.size)
            records.seals.append(_sealed(crc, before, after))
            walks.passed += at - start
    except RecordError as error:
        problem = f"record {len(records.names):,} at byte {start:,} {error}"
        raise ArchiveError(files.path(file), problem, DAMAGED) from error


def _record_end(data: bytes, at: int) -> int:
    """Returns where the record with the frame at this position ends."""
    if at + _FRAME.size > len(data):
        raise RecordError("is cut off in its length")
    # The record itself has its length once more, so this checksum can wait.
    length, _ = _FRAME.unpack_from(data, at)
    return at + _FRAME.size + int(length)


def masked_crc(*parts: bytes) -> int:
    """Returns the checksum that TFRecord stores: CRC-32C, rotated and shifted."""
    import google_crc32c

    crc = 0
    for part in parts:
        crc = google_crc32c.extend(crc, part)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _sealed(crc: int, before: int, after: int) -> int:
    """Packs a record's checksum and how many bytes of it surround the image."""
    return crc << 24 | before << 12 | after


def _unsealed(seal: int) -> tuple[int, int, int]:
    return seal >> 24, seal >> 12 & 0xFFF, seal & 0xFFF
