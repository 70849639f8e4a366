"""Writes one shard: a pure function of its plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.plan.record_size import RecordSerializer
from imagenet2012_subset.plan.shards import ShardPlan
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.source import Source, decoded
from imagenet2012_subset.tfds_internals import (
    ExampleWriter,
    FileFormat,
    Hasher,
    index_file_path,
    write_index_file,
)

Examples = Iterable[tuple[str, dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class ShardWriter:
    """Writes any shard of a dataset.

    Attributes:
      generate_examples: yields the (key, example) of each image, in order.
      serializer: makes an example a record.
      example_writer: puts records into a file.
    """

    generate_examples: Callable[[Images], Examples]
    serializer: RecordSerializer
    example_writer: ExampleWriter

    def write(
        self,
        shard: ShardPlan,
        source: Source,
        on_record: Callable[[], None] = lambda: None,
    ) -> list[epath.Path]:
        """Writes a shard, and returns the files that it now consists of.

        Args:
          shard: its plan.
          source: what `shard.origin` opens.
          on_record: called after each record; what it raises ends the shard.

        Raises:
          WriteError: if the shard cannot be written, or if an example is not the one
            that was planned.
          ArchiveError: if an image is not what the plan was made for.
        """
        try:
            return self._write_records(
                epath.Path(shard.path), self._records(shard, source, on_record)
            )
        except _RecordsFailed as error:
            raise error.reason from error.reason.__cause__
        except Exception as error:
            # Each format has its own kinds of errors for a disk that fails.
            raise unwritable(shard.path, str(error)) from error

    def _write_records(
        self, path: epath.Path, records: Iterable[tuple[int, bytes]]
    ) -> list[epath.Path]:
        if self.example_writer.file_format == FileFormat.PARQUET:
            # TFDS's adapter takes batches by slicing its argument from the start each
            # time: of an iterator it would drop every record past the hundredth.
            records = list(records)
        positions = self.example_writer.write(path, records)
        if not positions:
            return [path]
        index_path = index_file_path(str(path))
        write_index_file(index_path, positions)
        return [path, epath.Path(index_path)]

    def _records(
        self, shard: ShardPlan, source: Source, on_record: Callable[[], None]
    ) -> Iterator[tuple[int, bytes]]:
        hasher = Hasher(shard.split)
        try:
            for key, record in self._planned_records(shard, source):
                yield hasher.hash_key(key), record
                on_record()
        except Exception as error:
            raise _RecordsFailed(error) from error

    def _planned_records(
        self, shard: ShardPlan, source: Source
    ) -> Iterator[tuple[str, bytes]]:
        planned = zip(
            decoded(shard.entries.names), shard.record_sizes.tolist(), strict=True
        )
        for key, example in self.generate_examples(Images(source, shard.entries)):
            record = self.serializer.serialize(example)
            expected = next(planned, None)
            if (key, len(record)) != expected:
                raise _not_planned(shard.path, expected, (key, len(record)))
            yield key, record
        if missing := next(planned, None):
            raise _not_planned(shard.path, missing, None)


class _RecordsFailed(Exception):
    """Carries what went wrong with the records past what writes them."""

    def __init__(self, reason: Exception):
        super().__init__(str(reason))
        self.reason = reason


def unwritable(path: epath.PathLike, reason: str) -> WriteError:
    """Returns the error that says where, why, and what to look at."""
    return WriteError(
        path,
        f"cannot be written ({reason})",
        "See that the disk has space and that data_dir may be written to; nothing of "
        "this build is left",
    )


def _not_planned(
    path: str, planned: tuple[str, int] | None, got: tuple[str, int] | None
) -> WriteError:
    def described(record: tuple[str, int] | None) -> str:
        return (
            f"{record[0]} in a record of {record[1]:,} bytes" if record else "no more"
        )

    return WriteError(
        path,
        f"was planned to hold {described(planned)}, but _generate_examples gave "
        f"{described(got)}",
        "A subclass that changes the examples has to change the plan along",
    )
