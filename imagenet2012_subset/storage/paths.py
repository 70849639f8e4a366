"""Tells what the operating system can say of a path before it is opened."""

from __future__ import annotations

import os
import shutil
import urllib.parse
import urllib.request

from etils import epath

from imagenet2012_subset.errors import ManualDirError
from imagenet2012_subset.storage.folders import status


def is_local(path: epath.PathLike) -> bool:
    """Whether the platform's own calls can open a path: it is no URL, as `gs://` is."""
    return "://" not in os.fspath(path)


def supported(given: epath.PathLike) -> str:
    """Returns a path or the URL of a bucket; a `file://` URL becomes a path.

    Raises:
      ManualDirError: if it is another URL.
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
    """Returns a path that is the same in any working directory."""
    return os.path.abspath(path) if is_local(path) else os.fspath(path)


def link_target(path: epath.Path) -> str | None:
    """Returns what a symbolic link says; None for anything else."""
    if is_local(path) and os.path.islink(path):
        return os.readlink(path)
    return None


def dangling_link(path: epath.Path) -> str | None:
    """Returns where a link points to that leads nowhere; None for anything else."""
    target = link_target(path)
    return None if target is None or path.exists() else target


def irregular(path: epath.Path) -> str | None:
    """Returns what a path is that is no file, such as `a FIFO`; None for a file.

    Raises:
      OSError: if it cannot be looked up.
    """
    return status(os.fspath(path)).what if is_local(path) else None


def free_bytes(folder: epath.Path) -> int | None:
    """Returns how much the disk of a folder can take; None on remote storage."""
    return shutil.disk_usage(folder).free if is_local(folder) else None
