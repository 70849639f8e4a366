"""Properties of a path that are known without opening it."""

from __future__ import annotations

import os
import shutil
import urllib.parse
import urllib.request

from etils import epath

from imagenet2012_subset.errors import ArchiveError, ManualDirError
from imagenet2012_subset.storage.folders import Status, status


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
