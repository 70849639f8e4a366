"""Object stores through fsspec: which client opens a URL, and what it says of it."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import fsspec
from etils import epath
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from imagenet2012_subset.errors import ManualDirError

# How many reads of an object are under way at once.
MAX_CONNECTIONS = 512

# botocore has ten connections by default.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"max_pool_connections": MAX_CONNECTIONS}}
}
_EXTRAS = {"gs": "gcs", "s3": "s3"}
_CLIENTS = {"az": "adlfs", "hf": "huggingface_hub"}


# What callers tell by the class, with or without a number.
_TOLD_BY_CLASS = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
)


class Replaced(Exception):
    """The object is no longer the one that was opened."""


class StoredObject(NamedTuple):
    """An object, and the client that reads it.

    Attributes:
      scheme: of its URL, such as `s3`.
      client: an fsspec file system, asynchronous.
      key: what the client calls the object.
    """

    scheme: str
    client: AsyncFileSystem
    key: str

    async def read(self, start: int, size: int, generation: str) -> bytes:
        """Returns `size` bytes from `start` on, fewer where the object ends.

        The client tries again as it does for its store. To be awaited in its loop.

        Args:
          start: the first byte.
          size: how many.
          generation: of which version, where the store numbers them.

        Raises:
          Replaced: if the store no longer has the object.
          Exception: of whatever kind the client raises.
        """
        version = {"generation": generation} if generation else {}
        try:
            return await self.client._cat_file(
                self.key, start=start, end=start + size, **version
            )
        except FileNotFoundError as error:
            raise Replaced from error

    def status(self) -> ObjectStatus:
        """Asks the store what the object is now.

        Raises:
          OSError: if it does not say.
        """
        with as_os_errors(self.key):
            self.client.invalidate_cache()
            return _status(self.client.info(self.key))


class ObjectStatus(NamedTuple):
    """What tells one version of an object from another.

    Attributes:
      size: its length in bytes.
      mtime_ns: when it was stored, in nanoseconds since the epoch. Stores count in
        seconds or milliseconds: what is less than a second comes from the version.
      tag: the store's ETag; empty where there is none, or versions have numbers.
      generation: Google's number of the version; empty elsewhere.
    """

    size: int
    mtime_ns: int
    tag: str
    generation: str


def find_object(path: epath.Path) -> StoredObject:
    """Finds the client that opens a path such as `s3://bucket/key`; asks nothing yet.

    Raises:
      ManualDirError: if the client is not installed.
    """
    url = os.fspath(path)
    scheme = url.partition("://")[0]
    options = {**_OPTIONS.get(scheme, {}), **fsspec.config.conf.get(scheme, {})}
    try:
        client, key = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        package = (
            f"'imagenet2012-subset[{extra}]'" if extra else _CLIENTS.get(scheme, scheme)
        )
        raise ManualDirError(
            path,
            f"cannot be read without the store's client ({error})",
            f"pip install {package}",
        ) from error
    if not client.async_impl:
        client = AsyncFileSystemWrapper(client, asynchronous=False)
    return StoredObject(scheme, client, key)


@contextlib.contextmanager
def as_os_errors(path: epath.PathLike) -> Iterator[None]:
    """Makes the errors of a store's client, of whatever kind, errors of that path.

    Raises:
      OSError: for any of them.
    """
    try:
        yield
    except _TOLD_BY_CLASS:
        raise
    except Exception as error:
        # Some clients raise errors of the operating system's kind without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        number = errno.EACCES if isinstance(error, PermissionError) else errno.EIO
        reason = f"{type(error).__name__}: {error}"
        raise OSError(number, reason, os.fspath(path)) from error


def _status(info: dict[str, Any]) -> ObjectStatus:
    generation = str(info.get("generation") or "")
    tag = str(info.get("ETag") or info.get("etag") or "")
    modified = next(
        (
            info[key]
            for key in ("LastModified", "mtime", "last_modified")
            if info.get(key)
        ),
        0,
    )
    if isinstance(modified, datetime.datetime):
        modified = modified.timestamp()
    # Google's tag changes along with what is noted beside an object.
    version = generation or tag
    return ObjectStatus(
        size=int(info["size"]),
        mtime_ns=int(modified) * 10**9 + zlib.crc32(version.encode()) % 10**9,
        tag="" if generation else tag,
        generation=generation,
    )
