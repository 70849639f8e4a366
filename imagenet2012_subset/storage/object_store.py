"""Reads objects in a bucket (`s3://`, `gs://`, `az://`) through `obstore`."""

from __future__ import annotations

import concurrent.futures
import datetime
import errno
import functools
import hashlib
import os
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from imagenet2012_subset.errors import (
    LEAVE_ALONE,
    ArchiveError,
    DatasetError,
    ManualDirError,
    install,
)
from imagenet2012_subset.storage.files import (
    Files,
    FileTable,
    ReadsAhead,
    ends_early,
)
from imagenet2012_subset.storage.paths import Status

# All reads of a process share these threads. This limits its parallel requests, no
# matter how many shards it writes.
_REQUESTS_AT_A_TIME = 128
_AHEAD = 64

# A walk reads an object from front to back in stretches. With 32 of them in flight, it
# keeps at most 34 in memory (272 MiB).
_STRETCH = 8 << 20
_STRETCHES_AT_A_TIME = 32

# obstore retries failed requests. A request may be slow, but must not stall.
_RETRIES: Any = {
    "max_retries": 8,
    "backoff": {"max_backoff": datetime.timedelta(seconds=5)},
    "retry_timeout": datetime.timedelta(minutes=2),
}
_CLIENT: Any = {
    "allow_http": True,  # Only has an effect if the endpoint is an http:// URL.
    "connect_timeout": "10s",
    "read_timeout": "30s",
    "timeout": "10m",
}

_ENVIRONMENT = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST")
_AWS_WITHOUT_PROFILE = {"AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE"}
_ACCESS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (needs "
    "boto3), and AWS_REGION; for a public bucket set AWS_SKIP_SIGNATURE=true",
    "gs": "Log in (gcloud auth application-default login), or set "
    "GOOGLE_APPLICATION_CREDENTIALS; for a public bucket set "
    "GOOGLE_SKIP_SIGNATURE=true",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY; for a public "
    "container set AZURE_SKIP_SIGNATURE=true in place of the key",
}
# What a store answers without access, and URLs where clients look for credentials.
_ABOUT_ACCESS = re.compile(
    r"code: 40[13]\b|account must be specified|incorrectly configured region"
    "|/latest/api/token|/computeMetadata/|/metadata/identity/|token request",
    re.IGNORECASE,
)
_NOT_OK = "Server returned non-2xx status code: "
_NOT_SATISFIABLE = f"{_NOT_OK}416"
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")


def object_status(path: str) -> Status:
    """Looks up an object.

    Raises:
      FileNotFoundError: if it does not exist.
      ManualDirError: if its bucket does not exist or refuses access, or `obstore` is
        not installed.
      ArchiveError: if it cannot be looked up for another reason.
    """
    store, name = _locate(path)
    import obstore
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    refusals = (FileNotFoundError, PermissionDeniedError, UnauthenticatedError)
    try:
        try:
            meta = obstore.head(store, name)
        except refusals as refusal:
            # Only an answer with a body contains the reason, and it may be cut off.
            try:
                meta = obstore.get(store, name, options={"range": (0, 1)}).meta
            except Exception as error:
                raise error if isinstance(error, refusals) else refusal from error
    except FileNotFoundError as error:
        if _NO_BUCKET.search(str(error)):
            bucket = "/".join(path.split("/")[:3])
            problem = "is not an existing bucket"
            raise ManualDirError(bucket, problem, "Check its name") from error
        raise FileNotFoundError(errno.ENOENT, "no such object", path) from error
    except Exception as error:
        raise _failure(path, "cannot be looked up", error) from error
    return _status(meta)


class ObjectFiles(Files):
    """Objects in a bucket, read in parallel ranges; safe to use from any thread.

    Ranges are only read from the version that was found.
    """

    ahead = _AHEAD

    def __init__(self, table: FileTable):
        super().__init__(table)
        self._objects = [_locate(path) for path in table.paths]
        self._etags: dict[int, str] = {}
        self._prefetched = ReadsAhead(self._read, _threads())

    def sequential(self) -> Files:
        """Returns an object that serves many small reads in order from large ranges."""
        return _FrontToBack(self)

    def _read(self, file: int, offset: int, size: int) -> bytes:
        return bytes(self.view(file, offset, size))

    def view(self, file: int, offset: int, size: int) -> memoryview:
        """Returns the bytes of a range without copying them.

        Raises:
          ArchiveError: as `read`.
          ManualDirError: if the store refuses access.
        """
        import obstore

        path, (store, name) = self.path(file), self._objects[file]
        options: Any = {"range": (offset, offset + size)}
        if file in self._etags:
            options["if_match"] = self._etags[file]
        try:
            result = obstore.get(store, name, options=options)
            found = Status(self.size(file), int(self.table.changed_ns[file]))
            if _status(result.meta) != found:
                raise _changed_error(path)
            data = memoryview(result.bytes())
        except ArchiveError:
            raise
        except (FileNotFoundError, obstore.exceptions.PreconditionError) as error:
            raise _changed_error(path) from error
        except Exception as error:
            if _NOT_SATISFIABLE in str(error):  # The object was longer before.
                raise _changed_error(path) from error
            problem = f"cannot be read at byte {offset:,}"
            raise _failure(path, problem, error) from error
        if len(data) < size:
            raise ends_early(path, offset + len(data), self.size(file))
        etag = result.meta["e_tag"]
        if etag and not etag.startswith("W/"):  # A weak ETag never matches.
            self._etags[file] = etag
        return data


class _FrontToBack(Files):
    """Serves small reads from large prefetched ranges; for one thread.

    Reads may jump: back by one range, or ahead, past ranges that are not needed.
    """

    in_step = 1

    def __init__(self, files: ObjectFiles):
        super().__init__(files.table)
        self._view = files.view
        self._stretches: dict[
            tuple[int, int], concurrent.futures.Future[memoryview]
        ] = {}
        self._at: tuple[int, int] | None = None
        self._current = memoryview(b"")

    def prefetch(self, file: int, offset: int, size: int) -> None:
        """Does nothing: the ranges after the last read are fetched anyway."""

    def read(self, file: int, offset: int, size: int) -> bytes:
        if offset + size > self.size(file):
            raise ends_early(self.path(file), self.size(file), self.size(file))
        data = b""
        while len(data) < size:
            number, start = divmod(offset + len(data), _STRETCH)
            if (file, number) != self._at:
                self._go_to(file, number)
            data += self._current[start : start + size - len(data)]
        return data

    def _go_to(self, file: int, number: int) -> None:
        """Makes a stretch the current one, requests the next, drops distant ones."""
        size = self.size(file)
        end = min(number + _STRETCHES_AT_A_TIME, -(-size // _STRETCH))
        near = [(file, n) for n in range(number, end)]
        for far in self._stretches.keys() - {(file, number - 1), *near}:
            self._stretches.pop(far).cancel()
        for stretch in near:
            if stretch not in self._stretches:
                start = stretch[1] * _STRETCH
                self._stretches[stretch] = _threads().submit(
                    self._view, file, start, min(_STRETCH, size - start)
                )
        self._at = file, number
        self._current = self._stretches[self._at].result()


@functools.lru_cache(1)
def _threads() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(_REQUESTS_AT_A_TIME, "object_store")


def _locate(path: str) -> tuple[Any, str]:
    """Returns the store of an object, and the object's name there."""
    folder, _, name = path.rpartition("/")
    variables = frozenset(
        item for item in os.environ.items() if item[0].startswith(_ENVIRONMENT)
    )
    try:
        return _store(folder, variables), name
    except ImportError as error:
        raise ManualDirError(
            path,
            "cannot be read, because the package obstore is not installed",
            install("obstore", "buckets"),
        ) from error
    except Exception as error:
        raise _failure(path, "cannot be opened", error) from error


@functools.lru_cache(16)
def _store(folder: str, variables: frozenset[tuple[str, str]]) -> Any:
    """Opens the store of a folder with the settings in environment variables."""
    from obstore.store import from_url

    scheme, _, rest = folder.partition("://")
    given = dict(variables)
    options: dict[str, Any] = {}
    if scheme == "s3" and not given.keys() & _AWS_WITHOUT_PROFILE:
        options["credential_provider"] = _aws_profile()
    # Google's own libraries read this variable, with or without a scheme.
    if scheme == "gs" and (host := given.get("STORAGE_EMULATOR_HOST")):
        base_url = host if "://" in host else f"http://{host}"
        options["config"] = {"base_url": base_url, "skip_signature": True}
    url = f"{scheme}://{urllib.parse.quote(rest, safe='/@')}"
    return from_url(url, client_options=_CLIENT, retry_config=_RETRIES, **options)


def _aws_profile() -> Any:
    """Returns a credential provider for `~/.aws`; None without boto3 or a profile."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return Boto3CredentialProvider()
    except (ImportError, ValueError):
        return None


def _status(meta: Mapping[str, Any]) -> Status:
    """Returns the size of an object, and a number derived from its version."""
    version = meta["e_tag"] or meta["version"] or meta["last_modified"]
    digest = hashlib.sha256(str(version).encode()).digest()
    return Status(meta["size"], int.from_bytes(digest[:8], "big") >> 1)


def _changed_error(path: str) -> ArchiveError:
    return ArchiveError(
        path,
        "was replaced or deleted while it was being read",
        f"Check that the object exists; {LEAVE_ALONE}",
    )


def _failure(path: str, problem: str, error: Exception) -> DatasetError:
    reason, remedy = _reason(error), _ACCESS.get(path.partition("://")[0])
    if remedy and _ABOUT_ACCESS.search(_first_part(error)):
        problem = f"{problem}, because the store denied access ({reason})"
        return ManualDirError(path, problem, remedy)
    remedy = "Check the address, the network and the store, then build again"
    return ArchiveError(path, f"{problem} ({reason})", remedy)


def _first_part(error: Exception) -> str:
    return str(error).partition("\n\nDebug source")[0]


def _reason(error: Exception) -> str:
    """Returns the answer of a store or the network in one line."""
    text = _first_part(error)
    answer = text.partition(" - ")[2] or text
    parts = re.findall("<(Code|Message)>(.*?)</", answer, re.DOTALL)
    if parts:  # All stores answer in XML.
        answer = answer.partition("<")[0] + ": ".join(part for _, part in parts)
    return " ".join(answer.removeprefix(_NOT_OK).split()).rstrip(": ")
