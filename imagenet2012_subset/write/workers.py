"""How many shards are written at a time."""

from __future__ import annotations

import os

ENVIRONMENT_VARIABLE = "IMAGENET2012_SUBSET_WORKERS"


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


def _positive(value: int | str, where: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{where} is {value!r}: it takes a whole number from 1 up")
    return number
