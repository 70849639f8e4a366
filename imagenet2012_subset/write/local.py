"""Writes the shards of all splits in threads of this process."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence

from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.plan.shards import SplitPlan
from imagenet2012_subset.prepared.dataset import FRAME_BYTES
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.storage.files import more_open_files
from imagenet2012_subset.storage.paths import free_bytes, is_local
from imagenet2012_subset.write.shard import Duplicates, ShardWriter

WORKERS_VARIABLE = "IMAGENET2012_SUBSET_WORKERS"

# Features, labels and infos beside the shards.
_OTHER_FILES_BYTES = 1 << 20
_OTHER_DATA_DIR = "or use another data_dir"
_OTHER_TMPDIR = "or set TMPDIR to a directory on another disk"

# Its shard, the one that is being synced, and the files of prefetched images.
_FILES_PER_WORKER = 20


class Stopped(Exception):
    """Ends a task because another one failed, or the user interrupted."""


def num_workers(requested: int | None = None) -> int:
    """Returns how many shards to write at a time.

    That is `requested`, else the environment variable, else the number of usable CPUs.

    Raises:
      ValueError: if one of them is not a positive integer.
    """
    if requested is not None:
        return _positive(requested, "workers")
    if given := os.environ.get(WORKERS_VARIABLE):
        return _positive(given, WORKERS_VARIABLE)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers_within_open_files(workers: int) -> int:
    """Returns how many of the workers can open all their files; at least one."""
    more = more_open_files()
    return workers if more is None else max(1, min(workers, more // _FILES_PER_WORKER))


def write_splits(
    splits: Sequence[SplitPlan], writer: ShardWriter, *, workers: int
) -> None:
    """Writes the shards of all splits.

    A shard's bytes depend only on its plan, not on the number of workers or the order
    in which they finish.

    Args:
      splits: what to write, and where.
      writer: writes a shard.
      workers: how many shards to write at a time, each in a thread; fewer if the
        process may not open that many files. While the disk syncs what they wrote, as
        many other threads write. An interrupt or an error in one thread stops all of
        them within one image.

    Raises:
      WriteError: if space is short, before anything is written; or if a shard cannot
        be written.
      ArchiveError: if an image is not the one that was planned.
    """
    workers = workers_within_open_files(workers)
    num_threads = 2 * workers
    ensure_space(splits, num_threads)
    stop = threading.Event()
    turns = threading.Semaphore(workers)
    moving_bar = threading.Lock()
    with progress_bar(
        total=sum(len(split.entries) for split in splits),
        desc="Writing",
        unit=" images",
        leave=False,
    ) as bar:

        def on_image(duplicates: Duplicates, name: str, data: bytes) -> None:
            duplicates.add(name, data)
            if stop.is_set():
                raise Stopped
            with moving_bar:
                bar.update()

        tasks = []
        every_split = []
        for split in splits:
            duplicates = Duplicates(split.source.path, split.name, split.entries.sizes)
            every_split.append(duplicates)
            of_split = functools.partial(on_image, duplicates)
            for shard in split.shards:
                tasks.append(functools.partial(writer.write, shard, of_split, turns))
        run_together(tasks, num_threads, stop)
    for duplicates in every_split:
        duplicates.finish()


def run_together(
    tasks: Sequence[Callable[[], object]], num_threads: int, stop: threading.Event
) -> None:
    """Runs all tasks in threads.

    `stop` is set at the end, also when a task fails or the user interrupts. Waiting
    tasks are then cancelled, and the error is raised once the running ones have ended.
    Threads, unlike processes, need no `if __name__ == "__main__"` and work in a
    notebook.
    """
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    try:
        futures = [pool.submit(task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            future.result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def ensure_space(splits: Sequence[SplitPlan], at_a_time: int = 1) -> None:
    """Raises a `WriteError` unless the disk has space for all shards.

    For a bucket, the temporary directory needs space for the largest `at_a_time`.
    """
    sizes = [
        int(shard.record_sizes.sum()) + FRAME_BYTES * len(shard.entries)
        for split in splits
        for shard in split.shards
    ]
    folder = epath.Path(splits[0].template.data_dir)
    remedy = _OTHER_DATA_DIR
    if not is_local(folder):
        folder = epath.Path(tempfile.gettempdir())
        sizes = sorted(sizes)[-at_a_time:]
        remedy = _OTHER_TMPDIR
    needed = sum(sizes) + _OTHER_FILES_BYTES
    _ensure_free(folder, needed, "the dataset takes", remedy)


def stage_splits(
    splits: Mapping[str, Images], directory: epath.Path, *, on_dataset_disk: bool
) -> dict[str, Images]:
    """Returns the same images, which can be read at random; see `Source.stage`.

    Args:
      splits: the images of each split.
      directory: where sources may copy images.
      on_dataset_disk: whether this is the disk that the dataset is written to.

    Raises:
      WriteError: if the disk has too little space for all copies and the dataset,
        before anything is copied; or if a copy cannot be written.
    """
    images = splits.values()
    needed = sum(one.source.num_bytes_to_stage(one.entries) for one in images)
    if needed and on_dataset_disk:
        needed += sum(int(one.entries.sizes.sum()) for one in images)
        what = "a copy of the images and the dataset take about"
        _ensure_free(directory, needed, what, _OTHER_DATA_DIR)
    else:
        _ensure_free(
            directory, needed, "a copy of the images takes about", _OTHER_TMPDIR
        )
    return {split: one.staged(directory) for split, one in splits.items()}


def _ensure_free(folder: epath.Path, needed: int, what: str, remedy: str) -> None:
    free = free_bytes(folder)
    if free is not None and free < needed:
        raise WriteError(
            folder,
            f"has {free:,} bytes free, but {what} {needed:,}",
            f"Free {needed - free:,} bytes, {remedy}",
        )


def _positive(value: int | str, where: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{where} is {value!r}: it must be a positive integer")
    return number
