"""Writes the shards of all splits on Apache Beam: a map over shards, no shuffle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from imagenet2012_subset.errors import DatasetError, WriteError
from imagenet2012_subset.plan.shards import ShardPlan, SplitPlan
from imagenet2012_subset.storage.paths import absolute
from imagenet2012_subset.write.attempt import remove_attempts, write_apart
from imagenet2012_subset.write.shard import ShardWriter
from imagenet2012_subset.write.splits import ensure_space


def write_splits_on_beam(
    splits: Sequence[SplitPlan], writer: ShardWriter, *, runner: Any, options: Any
) -> None:
    """Writes the shards of all splits on whatever Beam runs on.

    Workers are given plans, which name images and where they lie, and write shards to
    the dataset's folder. They have to reach it, and the archives, under the same paths
    as this process. No image passes through Beam. An engine may try a shard again, or
    twice at once: each attempt writes in a folder of its own, and the first one that
    ends moves the shard to its place.

    Args:
      splits: what to write, and where to.
      writer: writes a shard.
      runner: a Beam runner or its name; None for what the options say.
      options: Beam's `PipelineOptions`; None for the defaults.

    Raises:
      WriteError: if Beam is not installed, space is short, or a shard is not written.
      ArchiveError: if an image is not what the plan was made for, and the runner says
        so by that error.
    """
    try:
        import apache_beam as beam
    except ImportError as error:
        raise WriteError(
            splits[0].template.data_dir,
            f"cannot be written by Beam ({error})",
            "pip install 'imagenet2012-subset[beam]', or give no Beam options",
        ) from error
    ensure_space(splits)
    shards = [
        dataclasses.replace(shard, path=absolute(shard.path))
        for split in splits
        for shard in split.shards
    ]
    write = _WriteShard(writer)
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            # Without a reshuffle an engine may fuse the map with what makes the plans,
            # and so have one worker write all.
            (
                pipeline
                | "Plans" >> beam.Create(shards, reshuffle=True)
                | "WriteShard" >> beam.Map(write)
            )
    except Exception as error:  # Each runner has its own kinds of errors.
        if dataset_error := next(_dataset_errors(error), None):
            raise dataset_error from error
        raise _not_written(splits, _last_line(error)) from error
    for shard in shards:
        if not epath.Path(shard.path).exists():
            raise _not_written(splits, f"no worker's {shard.path} is to be seen here")
    for folder in {epath.Path(shard.path).parent for shard in shards}:
        remove_attempts(folder)


@dataclasses.dataclass(frozen=True)
class _WriteShard:
    """What each worker does with a plan."""

    writer: ShardWriter

    def __call__(self, shard: ShardPlan) -> None:
        write_apart(self.writer, shard, shard.source)


def _dataset_errors(error: BaseException | None) -> Iterator[DatasetError]:
    while error is not None:
        if isinstance(error, DatasetError):
            yield error
        error = error.__cause__ or error.__context__


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _not_written(splits: Sequence[SplitPlan], reason: str) -> WriteError:
    return WriteError(
        splits[0].template.data_dir,
        f"cannot be written by Beam ({reason})",
        "See what the runner logged, and that all workers reach manual_dir and "
        "data_dir under these paths; nothing of this build is left",
    )
