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
from imagenet2012_subset.storage.folders import in_threads
from imagenet2012_subset.storage.in_step import OnProgress
from imagenet2012_subset.storage.open import find_files

# One record at a time takes the least CPU: several shards are written at a time.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_WRONG_CHECKSUM = "does not match its checksum"


class ArrayRecord(RecordFormat):
    """Reads whole records; the seal of a record is its number in the file."""

    title = "ArrayRecord"

    def walk(
        self, table: FileTable, label_of: LabelOf, on_progress: OnProgress
    ) -> list[Records]:
        def walk_file(file: int) -> Records:
            reader = _open(table, file)
            records = Records([], [], [], [])
            for number in range(reader.num_records()):
                try:
                    data = _read(reader, number)
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

    def read(self, table: FileTable, places: Sequence[Place]) -> Iterator[bytes]:
        for file, in_file in itertools.groupby(places, key=lambda place: place.file):
            reader = _open(table, file)
            for place in in_file:
                try:
                    yield _read(reader, place.seal)
                except RecordError:
                    yield b""  # `parse` raises the error.

    def parse(
        self, place: Place, data: bytes, label_of: LabelOf
    ) -> tuple[bytes, bytes]:
        if not data:
            raise RecordError(_WRONG_CHECKSUM)
        example = parse_example(data, 0, len(data), label_of)
        return example.name, data[example.offset : example.offset + example.size]

    def where(self, place: Place) -> str:
        return f"record {place.seal:,}"


def _open(table: FileTable, file: int) -> Any:
    from array_record.python import array_record_module

    path = table.paths[file]
    if not find_files([path]).same_versions(table.take(np.array([file]))):
        problem = "was written to or replaced while it was in use"
        raise ArchiveError(path, problem, f"The file changed; {LEAVE_ALONE}")
    reader = array_record_module.ArrayRecordReader(path, _OPTIONS)
    if not reader.ok():
        raise ArchiveError(path, "is not an ArrayRecord file, or is cut off", DAMAGED)
    return reader


def _read(reader: Any, number: int) -> bytes:
    try:
        reader.seek(number)
        return bytes(reader.read())
    except (RuntimeError, IndexError) as error:
        raise RecordError(_WRONG_CHECKSUM) from error
