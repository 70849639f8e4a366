"""Makes the page cache cold, as far as this machine permits."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable

_DROP = pathlib.Path("/proc/sys/vm/drop_caches")
_DISKS = pathlib.Path("/proc/diskstats")
_AT_REST = 50  # Operations a second that are no more than a system's own.
_REST_SECONDS = 5
_MOST_SECONDS = 120


def go_cold(files: Iterable[pathlib.Path]) -> str:
    """Drops what the kernel keeps of `files`, and of everything else if permitted.

    Before that it waits until their disks are at rest, for two minutes at the most.

    Nothing below the kernel is reached: a virtual machine's host may still keep them.

    Returns:
      How cold the caches now are, in words for a report.
    """
    files = list(files)
    os.sync()  # Pages not yet written are not dropped.
    _wait_for_disks(frozenset(path.stat().st_dev for path in files))
    try:
        _DROP.write_text("3")
        return "cold (all page caches dropped before every run)"
    except OSError:
        pass
    return forget(files)


def forget(files: Iterable[pathlib.Path]) -> str:
    """Drops what the kernel keeps of `files`, and of nothing else.

    That is enough where runs take turns: what else is kept, they all find alike.

    Returns:
      How cold the caches now are, in words for a report.
    """
    if not hasattr(os, "posix_fadvise"):
        return "WARM (this system offers no way to drop page caches)"
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return "cold for the archives (posix_fadvise)"


def _wait_for_disks(disks: frozenset[int]) -> None:
    """Waits until disks have finished with what earlier runs wrote and deleted.

    A file system goes on for a while with telling the disk which blocks it no longer
    uses. That is not to be charged to the next run.

    Args:
      disks: Which, by what `os.stat` calls the device.
    """
    if not _DISKS.exists():
        return
    at_rest = 0
    for _ in range(_MOST_SECONDS):
        before = _operations(disks)
        time.sleep(1)
        at_rest = at_rest + 1 if _operations(disks) - before <= _AT_REST else 0
        if at_rest == _REST_SECONDS:
            return


def _operations(disks: frozenset[int]) -> int:
    """Returns how many reads, writes and discards the disks have completed."""
    lines = [line.split() for line in _DISKS.read_text().splitlines()]
    columns = [
        line for line in lines if os.makedev(int(line[0]), int(line[1])) in disks
    ]
    return sum(int(disk[i]) for disk in columns for i in (3, 7, 14) if i < len(disk))
