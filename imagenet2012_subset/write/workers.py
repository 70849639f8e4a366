"""How many shards are written at a time."""

from __future__ import annotations

import os

from imagenet2012_subset.storage.open_files import more_open_files

ENVIRONMENT_VARIABLE = "IMAGENET2012_SUBSET_WORKERS"

# Its shard, the one that is being synced meanwhile, direct reads of two archives, and
# of a tree as many images as are read at once.
_FILES_A_WORKER = 20


def num_workers(requested: int | None = None) -> int:
    """Returns `requested`, else what the environment says, else the usable CPUs.

    Raises:
      ValueError: if one of them is no positive whole number.
    """
    if requested is not None:
        return _positive(requested, "workers")
    if given := os.environ.get(ENVIRONMENT_VARIABLE):
        return _positive(given, ENVIRONMENT_VARIABLE)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers_within_open_files(workers: int) -> int:
    """Returns how many of the workers the process may open enough files for.

    A build with fewer workers takes longer, and with too many ends in an error.
    """
    if (more := more_open_files()) is None:
        return workers
    return max(1, min(workers, more // _FILES_A_WORKER))


def _positive(value: int | str, where: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{where} is {value!r}: it takes a whole number from 1 up")
    return number
