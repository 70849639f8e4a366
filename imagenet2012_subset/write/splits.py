"""Writes the shards of all splits here, several at a time."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Sequence

from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.plan.shards import ShardPlan, SplitPlan
from imagenet2012_subset.sources.source import Source
from imagenet2012_subset.storage.paths import free_bytes, is_local
from imagenet2012_subset.storage.sync import sync_file
from imagenet2012_subset.tfds_internals import tqdm
from imagenet2012_subset.write.attempt import write_apart
from imagenet2012_subset.write.shard import ShardWriter, unwritable
from imagenet2012_subset.write.threads import Progress, StopFlag, run_together
from imagenet2012_subset.write.workers import workers_within_open_files

# A TFRecord frames each record with its length and two checksums.
_FRAME_BYTES = 16
# For features, labels and infos beside the shards.
_OTHER_FILES_BYTES = 1 << 20


def write_splits(
    splits: Sequence[SplitPlan], writer: ShardWriter, *, workers: int
) -> None:
    """Writes the shards of all splits.

    A shard's bytes follow from its plan alone, so the number of workers and the order
    in which they finish make no difference.

    Args:
      splits: what to write, and where to.
      writer: writes a shard.
      workers: how many shards to write at a time, each in a thread of its own; fewer
        where the process may not open so many files. While the disk takes what they
        wrote, as many others write on. An interrupt or an error in one stops all of
        them within an image.

    Raises:
      WriteError: if space is short, before anything is written; or if a shard cannot
        be written.
      ArchiveError: if an image is not what the plan was made for.
    """
    ensure_space(splits)
    workers = workers_within_open_files(workers)
    stop = StopFlag()
    turns = threading.Semaphore(workers)
    with contextlib.ExitStack() as stack:
        tasks = []
        for split in splits:
            bar = stack.enter_context(
                tqdm(
                    total=len(split.entries),
                    desc=f"Writing {split.name}",
                    unit=" images",
                    leave=False,
                )
            )
            on_record = functools.partial(Progress(bar.update, stop), 1)
            source = split.source
            tasks += [
                functools.partial(_write, writer, shard, source, turns, on_record)
                for shard in split.shards
            ]
        run_together(tasks, 2 * workers, stop)


def _write(
    writer: ShardWriter,
    shard: ShardPlan,
    source: Source,
    turns: threading.Semaphore,
    on_record: Callable[[], None],
) -> None:
    if not is_local(shard.path):
        with turns:
            write_apart(writer, shard, source, on_record)
        return
    with turns:
        files = writer.write(shard, source, on_record)
    try:
        for file in files:
            sync_file(file)
    except OSError as error:
        raise unwritable(shard.path, str(error)) from error


def ensure_space(splits: Sequence[SplitPlan]) -> None:
    """Sees that the disk can take all shards; remote storage is taken to.

    Raises:
      WriteError: if it cannot.
    """
    needed = _OTHER_FILES_BYTES
    for split in splits:
        needed += split.num_bytes + _FRAME_BYTES * len(split.entries)
    folder = epath.Path(splits[0].template.data_dir)
    free = free_bytes(folder)
    if free is not None and free < needed:
        raise WriteError(
            folder,
            f"has {free:,} bytes free, but the dataset takes {needed:,}",
            f"Free {needed - free:,} bytes, or give another data_dir",
        )
