"""What folders hold and how long files are, asked of many at a time."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from imagenet2012_subset.errors import ArchiveError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# A look-up takes microseconds on a disk of this machine, and a millisecond over a
# network: with many under way, 100,000 take two seconds even so. Where look-ups are
# quick, to start a thread takes longer than many of them.
_THREADS_IF_QUICK = 8
_THREADS_IF_SLOW = 64
_SLOW_SECONDS = 200e-6
_JUDGED_BY = 16

# To hand work to a thread takes as long as a few look-ups.
_AT_A_TIME = 64


@dataclasses.dataclass(frozen=True)
class Status:
    """What is known of a file without opening it.

    Attributes:
      size: its length in bytes.
      changed_ns: when its bytes, or what is known of it, last changed, in nanoseconds
        since the epoch. Unlike the time of modification, nobody can set it.
      what: what it is instead of a regular file, such as `a directory`; None if it is
        one.
    """

    size: int
    changed_ns: int
    what: str | None = None


@dataclasses.dataclass
class Folder:
    """What a folder holds; links count as what they lead to.

    Attributes:
      files: names of what is no folder, as bytes.
      folders: names of folders, as bytes.
      broken: names of links that lead nowhere, or back to themselves.
      links: which of the folders are links.
    """

    files: list[bytes] = dataclasses.field(default_factory=list)
    folders: list[bytes] = dataclasses.field(default_factory=list)
    broken: list[bytes] = dataclasses.field(default_factory=list)
    links: list[bytes] = dataclasses.field(default_factory=list)


def status_of(result: os.stat_result) -> Status:
    """Returns what a call of the platform says of a file."""
    return Status(result.st_size, result.st_ctime_ns, _irregular(result.st_mode))


def status(path: str) -> Status:
    """Looks up one file, and where a link leads.

    Raises:
      OSError: if nothing is there, or it cannot be looked up.
    """
    return status_of(os.stat(path))


def statuses(paths: Sequence[str]) -> list[Status | OSError]:
    """Looks up many files at a time; an error stands in the place of its file."""

    def look_up(path: str) -> Status | OSError:
        try:
            return status(path)
        except OSError as error:
            return error

    return in_threads(look_up, paths)


def entries_of(path: str) -> Iterator[os.DirEntry[bytes]]:
    """Yields what a folder holds, in no order, without looking at it all first.

    Raises:
      OSError: if it cannot be listed.
    """
    with os.scandir(os.fsencode(path)) as found:
        yield from found


def is_folder(entry: os.DirEntry[bytes]) -> bool | None:
    """Whether an entry is a folder, or leads to one; None if it leads nowhere."""
    try:
        return entry.is_dir() or (
            None if entry.is_symlink() and not os.path.exists(entry.path) else False
        )
    except OSError:  # A link that leads to itself, for one.
        return None


def list_folders(paths: Sequence[str]) -> list[Folder]:
    """Lists many folders at a time, names in sorted order.

    Raises:
      OSError: if one cannot be listed.
    """

    def list_one(path: str) -> Folder:
        folder = Folder()
        column = {True: folder.folders, False: folder.files, None: folder.broken}
        for entry in sorted(entries_of(path), key=lambda entry: entry.name):
            is_one = is_folder(entry)
            column[is_one].append(entry.name)
            if is_one and entry.is_symlink():
                folder.links.append(entry.name)
        return folder

    return in_threads(list_one, paths, at_a_time=1)


def leads_upwards(path: str) -> bool:
    """Whether a link leads to the folder that it lies in, or to one above that."""
    here, there = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return os.path.commonpath([here, there]) == there


def in_threads(
    task: Callable[[_Item], _Result],
    items: Sequence[_Item],
    at_a_time: int = _AT_A_TIME,
) -> list[_Result]:
    """Returns a task's results in order; its calls wait for the platform together.

    Args:
      task: what to do with an item.
      items: what to do it with.
      at_a_time: how many items to hand to a thread.
    """
    results = []
    quickest = float("inf")
    for item in items[:_JUDGED_BY]:
        start = time.perf_counter()
        results.append(task(item))
        quickest = min(quickest, time.perf_counter() - start)
    is_slow = quickest > _SLOW_SECONDS
    num_threads = _THREADS_IF_SLOW if is_slow else _THREADS_IF_QUICK

    def some(part: Iterable[_Item]) -> list[_Result]:
        return [task(item) for item in part]

    parts = [
        items[start : start + at_a_time]
        for start in range(_JUDGED_BY, len(items), at_a_time)
    ]
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    try:
        results += itertools.chain.from_iterable(pool.map(some, parts))
        return results
    finally:
        pool.shutdown(cancel_futures=True)


def cannot_list(folder: os.PathLike[str] | str, error: OSError) -> ArchiveError:
    """Returns the error of a folder that cannot be listed."""
    return ArchiveError(
        os.fsdecode(error.filename or folder),
        f"cannot be listed ({error.strerror or error})",
        "Make it readable for the user who builds the dataset",
    )


def _irregular(mode: int) -> str | None:
    kinds = {
        stat.S_ISDIR: "a directory",
        stat.S_ISFIFO: "a FIFO",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a character device",
        stat.S_ISBLK: "a block device",
    }
    if stat.S_ISREG(mode):
        return None
    return next((what for is_it, what in kinds.items() if is_it(mode)), "no file")
