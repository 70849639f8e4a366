"""ArrayRecord files: only their own reader finds a record, by its number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from imagenet2012_subset.errors import LEAVE_ALONE, ArchiveError
from imagenet2012_subset.record_files.example import (
    LabelOf,
    RecordError,
    parse_example,
)
from imagenet2012_subset.record_files.record_format import (
    DAMAGED,
    Place,
    RecordFormat,
    Records,
)
from imagenet2012_subset.storage.files import FileTable
from imagenet2012_subset.storage.in_step import OnProgress
from imagenet2012_subset.storage.open import find_files

# The reader reads and decompresses these in parallel.
_AT_A_TIME = 32


class ArrayRecord(RecordFormat):
    """Reads whole records; the seal of a record is its number in the file."""

    title = "ArrayRecord"

    def walk(
        self, table: FileTable, label_of: LabelOf, on_progress: OnProgress
    ) -> list[Records]:
        each = []
        for file, path in enumerate(table.paths):
            reader = _open(table, file)
            records = Records([], [], [], [])
            for data in _read(reader, range(reader.num_records())):
                number = len(records.names)
                try:
                    example = parse_example(_sound(data), label_of)
                except RecordError as error:
                    problem = f"record {number:,} {error}"
                    raise ArchiveError(path, problem, DAMAGED) from error
                records.names.append(example.name)
                records.offsets.append(0)
                records.sizes.append(example.size)
                records.seals.append(number)
            each.append(records)
            on_progress(int(table.sizes[file]))
        return each

    def read(self, table: FileTable, places: Sequence[Place]) -> Iterator[bytes]:
        for file, in_file in itertools.groupby(places, key=lambda place: place.file):
            yield from _read(_open(table, file), [place.seal for place in in_file])

    def unframed(self, place: Place, data: bytes) -> bytes:
        return _sound(data)

    def where(self, place: Place) -> str:
        return f"record {place.seal:,}"


def _open(table: FileTable, file: int) -> Any:
    from array_record.python import array_record_module

    path = table.paths[file]
    if not find_files([path]).same_versions(table.take(np.array([file]))):
        problem = "was written to or replaced while it was in use"
        raise ArchiveError(path, problem, f"The file changed; {LEAVE_ALONE}")
    reader = array_record_module.ArrayRecordReader(path, "readahead_buffer_size:0")
    if not reader.ok():
        raise ArchiveError(path, "is not an ArrayRecord file, or is cut off", DAMAGED)
    return reader


def _read(reader: Any, numbers: Sequence[int]) -> Iterator[bytes]:
    """Yields records by number; no bytes in place of a damaged one."""
    for start in range(0, len(numbers), _AT_A_TIME):
        some = list(numbers[start : start + _AT_A_TIME])
        try:
            yield from reader.read(some)
        except RuntimeError:  # It does not say which record is damaged.
            for number in some:
                try:
                    yield from reader.read([number])
                except RuntimeError:
                    yield b""


def _sound(record: bytes) -> bytes:
    if not record:
        raise RecordError("does not match its checksum")
    return record
