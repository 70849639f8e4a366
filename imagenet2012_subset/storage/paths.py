"""Looks up files and lists folders, many at a time, without opening any."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import errno
import itertools
import os
import shutil
import stat
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from etils import epath

from imagenet2012_subset.errors import ArchiveError, DatasetError, ManualDirError

# What looking up a path raises if it does not exist.
NOT_THERE = (errno.ENOENT, errno.ENOTDIR)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Over a network a look-up takes a millisecond: 100,000 take two seconds in 64 threads.
_THREADS = 64

# Passing work to a thread takes as long as a few look-ups.
_AT_A_TIME = 64


@dataclasses.dataclass(frozen=True)
class Status:
    """The status of a file, known without opening it.

    Attributes:
      size: its length in bytes.
      changed_ns: as in `FileTable`.
      what: the kind of file, such as `a directory`; None for a regular file.
    """

    size: int
    changed_ns: int
    what: str | None = None


@dataclasses.dataclass
class Folder:
    """What a folder contains; a link counts as its target.

    Attributes:
      files: names of everything that is not a folder, as bytes.
      folders: names of folders, as bytes.
      broken: names of broken links, and of links to themselves.
      links: which of the folders are links.
    """

    files: list[bytes] = dataclasses.field(default_factory=list)
    folders: list[bytes] = dataclasses.field(default_factory=list)
    broken: list[bytes] = dataclasses.field(default_factory=list)
    links: list[bytes] = dataclasses.field(default_factory=list)


def status_of(result: os.stat_result) -> Status:
    """Converts the result of `os.stat`."""
    return Status(result.st_size, result.st_ctime_ns, _irregular(result.st_mode))


def status(path: str) -> Status:
    """Looks up one file, or the target of a link.

    Raises:
      OSError: if it does not exist or cannot be looked up.
    """
    return status_of(os.stat(path))


def statuses(paths: Sequence[str]) -> list[Status | OSError]:
    """Looks up many files at a time; returns errors instead of raising them."""

    def look_up(path: str) -> Status | OSError:
        try:
            return status(path)
        except OSError as error:
            return error

    return in_threads(look_up, paths)


def entries_of(path: str) -> Iterator[os.DirEntry[bytes]]:
    """Yields the entries of a folder, unordered, without reading all of them first.

    Raises:
      OSError: if it cannot be listed.
    """
    with os.scandir(os.fsencode(path)) as found:
        yield from found


def is_folder(entry: os.DirEntry[bytes]) -> bool | None:
    """Whether an entry is a folder or a link to one; None for a broken link."""
    try:
        return entry.is_dir() or (
            None if entry.is_symlink() and not os.path.exists(entry.path) else False
        )
    except OSError:  # For example a link to itself.
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
    """Whether a link points to a folder that contains it."""
    folder, target = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return os.path.commonpath([folder, target]) == target


def in_threads(
    task: Callable[[_Item], _Result],
    items: Sequence[_Item],
    at_a_time: int = _AT_A_TIME,
) -> list[_Result]:
    """Runs a task on each item in threads; returns the results in order.

    Args:
      task: processes one item.
      items: the items.
      at_a_time: how many items to pass to a thread at a time.
    """

    def run(part: Sequence[_Item]) -> list[_Result]:
        return [task(item) for item in part]

    parts = [items[i : i + at_a_time] for i in range(0, len(items), at_a_time)]
    pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
    try:
        return [*itertools.chain.from_iterable(pool.map(run, parts))]
    finally:
        pool.shutdown(cancel_futures=True)


def cannot_list(
    folder: os.PathLike[str] | str,
    error: OSError,
    kind: type[DatasetError] = ArchiveError,
) -> DatasetError:
    """Returns the error for a folder that cannot be listed."""
    return kind(
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
    return next((what for is_it, what in kinds.items() if is_it(mode)), "not a file")


def is_local(path: epath.PathLike) -> bool:
    """Whether a path is on this machine, as opposed to a URL such as `gs://...`."""
    return "://" not in os.fspath(path)


def supported(given: epath.PathLike) -> str:
    """Returns a path or the URL of a bucket; a `file://` URL becomes a path.

    Raises:
      ManualDirError: if it is a URL that cannot be read.
    """
    text = os.fspath(given)
    url = urllib.parse.urlsplit(text)
    if url.scheme == "file" and url.netloc in ("", "localhost"):
        return urllib.request.url2pathname(url.path)
    if url.scheme in ("file", "http", "https", "ftp"):
        raise ManualDirError(
            text,
            f"is a {url.scheme}:// URL, which cannot be read",
            "Give a local directory, or a bucket such as gs://... or s3://...",
        )
    return text


def absolute(path: epath.PathLike) -> str:
    """Returns a path that does not depend on the working directory."""
    return os.path.abspath(path) if is_local(path) else os.fspath(path)


def link_target(path: epath.Path) -> str | None:
    """Returns the target of a symbolic link; None for anything else."""
    if is_local(path) and os.path.islink(path):
        return os.readlink(path)
    return None


def dangling_link(path: epath.Path) -> str | None:
    """Returns the target of a broken link; None for anything else."""
    target = link_target(path)
    return None if target is None or path.exists() else target


def irregular(path: epath.Path) -> str | None:
    """Returns the kind of a file, such as `a FIFO`; None for a regular file.

    Raises:
      OSError: if it cannot be looked up.
    """
    return status(os.fspath(path)).what if is_local(path) else None


def free_bytes(folder: epath.Path) -> int | None:
    """Returns the free space on the disk of a folder; None for remote storage."""
    return shutil.disk_usage(folder).free if is_local(folder) else None


def with_content(
    path: str, found: Status | OSError, expected: str, remedy: str
) -> Status:
    """Returns the status of a file, which must not be empty.

    Args:
      path: the file.
      found: the result of looking it up.
      expected: what it should be, such as `a tar`.
      remedy: what to do if it is something else.

    Raises:
      ArchiveError: if it cannot be looked up, is not a regular file, or is empty.
    """
    if isinstance(found, OSError):
        raise ArchiveError(
            path,
            f"cannot be looked up ({found.strerror or found})",
            "Check that it is a file that the user who builds the dataset may read",
        ) from found
    if found.what:
        raise ArchiveError(path, f"is {found.what}, not {expected}", remedy)
    if not found.size:
        raise ArchiveError(path, "is empty", remedy)
    return found
