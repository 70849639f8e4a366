"""Writes the shards of all splits on Apache Beam: a map over shards, no shuffle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from imagenet2012_subset.errors import DatasetError, WriteError, install
from imagenet2012_subset.plan.shards import ShardPlan, SplitPlan
from imagenet2012_subset.storage.paths import absolute
from imagenet2012_subset.write.local import ensure_space
from imagenet2012_subset.write.shard import (
    Duplicates,
    ShardWriter,
    remove_staged_shards,
    what_is_left,
)


def write_splits_on_beam(
    splits: Sequence[SplitPlan], writer: ShardWriter, *, runner: Any, options: Any
) -> None:
    """Writes the shards of all splits on a Beam runner.

    Workers receive plans, which contain the locations of the images, and write
    shards to the dataset's directory. They must reach it, and the images, under the
    same paths as this process. No image passes through Beam. A runner may retry a
    shard, or write it twice at once: each attempt has a separate staging directory,
    and a whole shard is moved to its place.

    Args:
      splits: what to write, and where.
      writer: writes a shard.
      runner: a Beam runner or its name; None for the one in the options.
      options: Beam's `PipelineOptions`; None for the defaults.

    Raises:
      WriteError: if Beam is not installed, space is short, or a shard is not written.
      ArchiveError: if an image is not the one that was planned, and the runner
        propagates this error.
    """
    try:
        import apache_beam as beam
    except ImportError as error:
        raise WriteError(
            splits[0].template.data_dir,
            f"cannot be written by Beam ({error})",
            f"{install('apache-beam', 'beam')}; or do not use Beam options",
        ) from error
    ensure_space(splits)
    shards = [
        dataclasses.replace(shard, path=absolute(shard.path))
        for split in splits
        for shard in split.shards
    ]
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            # Without a reshuffle a runner may fuse the map with the creation of the
            # plans, and one worker would write all shards.
            (
                pipeline
                | "Plans" >> beam.Create(shards, reshuffle=True)
                | "WriteShard" >> beam.Map(_write, writer)
            )
    except Exception as error:  # Each runner has its own errors.
        if dataset_error := next(_dataset_errors(error), None):
            raise dataset_error from error
        raise _not_written(splits, _last_line(error)) from error
    for shard in shards:
        if not epath.Path(shard.path).exists():
            raise _not_written(
                splits,
                f"{shard.path} was not written, or is not visible from this machine",
            )
    for folder in {epath.Path(shard.path).parent for shard in shards}:
        remove_staged_shards(folder)


def _write(shard: ShardPlan, writer: ShardWriter) -> None:
    """Writes a shard, on a worker."""
    # The order is random, so copies of an image are spread over all shards.
    duplicates = Duplicates(shard.source.path, shard.split, shard.entries.sizes)
    writer.write(shard, duplicates.add)
    duplicates.finish()


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
        "Check the runner's log, and that every worker can reach manual_dir and "
        "data_dir under the same paths as this machine; "
        + what_is_left(splits[0].template.data_dir),
    )
