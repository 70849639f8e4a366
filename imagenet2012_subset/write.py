"""Writes planned shards, each once and in its final place, several at a time."""

from __future__ import annotations

import contextlib
import functools
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.images import Images
from imagenet2012_subset.local import is_local
from imagenet2012_subset.members import decoded
from imagenet2012_subset.plan import SplitPlan
from imagenet2012_subset.records import RecordSerializer
from imagenet2012_subset.sync import sync_file
from imagenet2012_subset.tfds_internals import (
    ExampleWriter,
    FileFormat,
    Hasher,
    ShardedFileTemplate,
    index_file_path,
    tqdm,
    write_index_file,
)
from imagenet2012_subset.threads import Progress, StopFlag, run_together

# A TFRecord frames each record with its length and two checksums.
_FRAME_BYTES = 16
# For features, labels and infos beside the shards.
_OTHER_FILES_BYTES = 1 << 20


class SplitOutput(NamedTuple):
    """A split to write.

    Attributes:
      plan: what its shards will be.
      template: names its shards.
    """

    plan: SplitPlan
    template: ShardedFileTemplate

    def shard_path(self, index: int) -> epath.Path:
        """Returns where shard number `index` is written to."""
        return self.template.sharded_filepath(
            shard_index=index, num_shards=self.plan.num_shards
        )


def write_splits(
    splits: Sequence[SplitOutput],
    *,
    generate_examples: Callable[[Images], Iterable[tuple[str, dict[str, Any]]]],
    serializer: RecordSerializer,
    example_writer: ExampleWriter,
    workers: int,
) -> None:
    """Writes the shards of all splits.

    A shard's bytes follow from its plan alone, so the number of workers and the order
    in which they finish make no difference.

    Args:
      splits: what to write, and where to.
      generate_examples: yields the (key, example) of each image, in order.
      serializer: makes an example a record.
      example_writer: puts records into a file.
      workers: how many shards to write at a time, each in a thread of its own. While
        the disk takes what they wrote, as many others write on. An interrupt or an
        error in one stops all of them within an image.

    Raises:
      WriteError: if space is short, before anything is written; if a shard cannot be
        written; or if an example is not the one that was planned.
      ArchiveError: if an image is not what the plan was made for.
    """
    _ensure_space(splits)
    stop = StopFlag()
    turns = threading.Semaphore(workers)
    with contextlib.ExitStack() as stack:
        tasks = []
        for split in splits:
            bar = stack.enter_context(
                tqdm(
                    total=len(split.plan.images),
                    desc=f"Writing {split.plan.name}",
                    unit=" images",
                    leave=False,
                )
            )
            shard_writer = _ShardWriter(
                split,
                generate_examples,
                serializer,
                example_writer,
                Progress(bar.update, stop),
                turns,
            )
            tasks += [
                functools.partial(shard_writer.write, index)
                for index in range(split.plan.num_shards)
            ]
        run_together(tasks, 2 * workers, stop)


class _ShardWriter:
    """Writes any one shard of a split."""

    def __init__(
        self,
        split: SplitOutput,
        generate_examples: Callable[[Images], Iterable[tuple[str, dict[str, Any]]]],
        serializer: RecordSerializer,
        example_writer: ExampleWriter,
        progress: Progress,
        turns: threading.Semaphore,
    ):
        self._split = split
        self._generate_examples = generate_examples
        self._serializer = serializer
        self._example_writer = example_writer
        self._hasher = Hasher(split.plan.name)
        self._progress = progress
        self._turns = turns

    def write(self, index: int) -> None:
        path = self._split.shard_path(index)
        errors_of_records: list[Exception] = []
        records: Iterable[tuple[int, bytes]]
        records = self._records(index, path, errors_of_records)
        try:
            with self._turns:
                written = self._write_records(path, records)
            for file in written:
                sync_file(file)
        except Exception as error:
            if error in errors_of_records:
                raise
            # Each format has its own kinds of errors for a disk that fails.
            raise unwritable(path, str(error)) from error

    def _write_records(
        self, path: epath.Path, records: Iterable[tuple[int, bytes]]
    ) -> list[epath.Path]:
        """Returns the files that now have the records."""
        if self._example_writer.file_format == FileFormat.PARQUET:
            # TFDS's adapter takes batches by slicing its argument from the start each
            # time: of an iterator it would drop every record past the hundredth.
            records = list(records)
        positions = self._example_writer.write(path, records)
        if not positions:
            return [path]
        index_path = index_file_path(str(path))
        write_index_file(index_path, positions)
        return [path, epath.Path(index_path)]

    def _records(
        self, index: int, path: epath.Path, errors: list[Exception]
    ) -> Iterator[tuple[int, bytes]]:
        try:
            yield from self._planned_records(index, path)
        except Exception as error:
            errors.append(error)
            raise

    def _planned_records(
        self, index: int, path: epath.Path
    ) -> Iterator[tuple[int, bytes]]:
        images, record_sizes = self._split.plan.shard(index)
        names = decoded(images.members.names)
        planned = zip(names, record_sizes.tolist(), strict=True)
        for key, example in self._generate_examples(images):
            record = self._serializer.serialize(example)
            expected = next(planned, None)
            if (key, len(record)) != expected:
                raise _not_planned(path, expected, (key, len(record)))
            yield self._hasher.hash_key(key), record
            self._progress(1)
        if missing := next(planned, None):
            raise _not_planned(path, missing, None)


def unwritable(path: epath.Path, reason: str) -> WriteError:
    """Returns the error that says where, why, and what to look at."""
    return WriteError(
        path,
        f"cannot be written ({reason})",
        "See that the disk has space and that data_dir may be written to; nothing of "
        "this build is left",
    )


def _not_planned(
    path: epath.Path, planned: tuple[str, int] | None, got: tuple[str, int] | None
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


def _ensure_space(splits: Sequence[SplitOutput]) -> None:
    needed = _OTHER_FILES_BYTES
    for plan, _ in splits:
        needed += plan.num_bytes + _FRAME_BYTES * len(plan.images)
    folder = splits[0].shard_path(0).parent
    if not is_local(folder):
        return
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            folder,
            f"has {free:,} bytes free, but the dataset takes {needed:,}",
            f"Free {needed - free:,} bytes, or give another data_dir",
        )
