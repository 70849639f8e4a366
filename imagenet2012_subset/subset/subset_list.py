"""Reads a subset list: the names of the training images to keep."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterable, Mapping

import requests
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import SubsetListError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.storage.open import exists, read_file
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.subset.config import SubsetConfig
from imagenet2012_subset.tfds_internals import (
    DownloadError,
    NonMatchingChecksumError,
    UrlInfo,
    download,
    requested_manual_dir,
    without_manual_dir,
)

# The `fingerprint` of each list that SimCLR publishes, by config.
PUBLISHED_FINGERPRINTS = {
    "1pct": "6581e723dbf23ae41ebd1d66d0b3c1c0eb8865d5abfa906987f6563513f4b9b8",
    "10pct": "220f3e2f6dba9d26ec247224cbbf4f3581cbf7fe341e08b191ee0855ad19af56",
}

_FORMAT = (
    "A subset list has one training image per line, such as n01440764_18.JPEG "
    "(optional: a folder before it, as in n01440764/n01440764_18.JPEG; the synset "
    "after it, as in n01440764_18_n01440764.JPEG; no .JPEG)"
)


# Timeouts in seconds: to connect to each address of a host, and between two packets.
_TIMEOUTS = (3.0, 10.0)


def download_list(url: str) -> bytes:
    """Downloads a URL without retries.

    Raises:
      OSError: if it is unavailable or cut off; without internet, within seconds.
    """
    if url.startswith("ftp://"):
        with urllib.request.urlopen(url, timeout=_TIMEOUTS[1]) as file:
            return bytes(file.read())
    uncompressed = {"Accept-Encoding": "identity"}  # As Content-Length counts.
    with requests.get(url, timeout=_TIMEOUTS, headers=uncompressed) as response:
        response.raise_for_status()
        data: bytes = response.content
        size = int(response.headers.get("Content-Length", len(data)))
    if len(data) != size:
        raise OSError(f"the connection ended after {len(data):,} of {size:,} bytes")
    return data


def fingerprint(listed: Iterable[str]) -> str:
    """Returns a hexadecimal SHA-256 that identifies a set of names."""
    return hashlib.sha256("\n".join(sorted(listed)).encode()).hexdigest()


def fetch_subset_list(
    config: SubsetConfig,
    dl_manager: tfds.download.DownloadManager,
    url_infos: Mapping[str, UrlInfo],
) -> list[str]:
    """Returns the names in a config's list, downloading it if needed.

    Args:
      config: names the list.
      dl_manager: finds the list in manual_dir or an earlier download, or downloads it.
      url_infos: sizes and checksums of published files, by URL.

    Raises:
      SubsetListError: as `read_subset_list`; or if the list cannot be downloaded, is
        not the published one, or does not have `training_images` names.
    """
    path: os.PathLike[str] | str = config.subset_list
    if config.is_remote:
        url = config.subset_list
        path = _download(url, dl_manager, url_infos.get(url))
    listed = read_subset_list(path)
    if config.training_images not in (None, len(listed)):
        raise SubsetListError(
            path,
            f"has {len(listed):,} names, but config {config.name!r} has "
            f"{config.training_images:,}",
            "Correct training_images, or use the list that belongs to this config",
        )
    return listed


def _download(
    url: str, dl_manager: tfds.download.DownloadManager, published: UrlInfo | None
) -> os.PathLike[str]:
    by_hand = None
    without_internet = "Without internet, pass a local path as subset_list"
    folder = requested_manual_dir(dl_manager)
    if folder and published and published.filename:
        by_hand = folder / published.filename
        without_internet += f", or put the list in {by_hand}"
    if by_hand and published and not is_local(by_hand):
        # TFDS cannot find files in a bucket.
        if exists(os.fspath(by_hand)):
            if problem := difference(by_hand, published):
                raise _not_as_published(by_hand, problem, url)
            return by_hand
        by_hand = None
        dl_manager = without_manual_dir(dl_manager)
    try:
        return download(dl_manager, url, download_list)
    # The errors of `requests` derive from OSError.
    except (OSError, DownloadError) as error:
        if by_hand and by_hand.exists() and isinstance(error, OSError):
            raise _unreadable(by_hand, error) from error
        problem = f"cannot be downloaded ({error})"
        raise SubsetListError(url, problem, without_internet) from error
    except NonMatchingChecksumError as error:
        if by_hand and published and by_hand.exists():
            problem = difference(by_hand, published) or "changed during the build"
            raise _not_as_published(by_hand, problem, url) from error
        raise SubsetListError(
            url,
            "was downloaded, but is not the published list: its sha256 differs",
            "Check whether a log-in page or a proxy answered instead. "
            f"{without_internet}",
        ) from error


def _not_as_published(by_hand: epath.Path, problem: str, url: str) -> SubsetListError:
    return SubsetListError(
        by_hand,
        problem,
        f"Replace it with an unmodified copy of {url}, or remove it to let the build "
        "download it",
    )


def difference(path: epath.Path, published: UrlInfo) -> str | None:
    """Returns how a list differs from the published one; None if it does not.

    Args:
      path: the list.
      published: the size and the checksum of the published list.

    Raises:
      SubsetListError: if the list cannot be read.
    """
    try:
        data = read_file(str(path))
    except OSError as error:
        raise _unreadable(path, error) from error
    if _sha256(data) == published.checksum:
        return None
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if _sha256(lines) == published.checksum:
        return "has different line ends (CRLF) than the published list (LF)"
    sizes = f"it has {len(data):,} bytes, the published list {published.size:,}"
    if len(data) < published.size:
        return f"is cut off, or a different list: {sizes}"
    return f"is not the published list: its sha256 differs; {sizes}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unreadable(path: os.PathLike[str] | str, error: OSError) -> SubsetListError:
    reason = error.strerror or str(error)
    problem = f"cannot be read ({reason})"
    return SubsetListError(path, problem, "Check the path and its permissions")


def read_subset_list(subset_list: os.PathLike[str] | str) -> list[str]:
    """Returns the names in a subset list, as in ImageNet, in list order.

    The path may start with `~`. Lines may end in LF or CRLF, the file may start with a
    byte order mark, and blank lines are ignored. A name may omit `.JPEG`, and may have
    folders before it and its wnid appended.

    Raises:
      SubsetListError: if the file cannot be read or is empty, or if a line is not
        a training image of the 1,000 synsets, contradicts itself, or repeats a name.
    """
    path = os.path.expanduser(subset_list)
    try:
        data = read_file(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return parse_subset_list(data, path)


def parse_subset_list(data: bytes, path: str) -> list[str]:
    """Returns the names in a subset list's bytes, as `read_subset_list`.

    Raises:
      SubsetListError: as `read_subset_list`, with this path or URL.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SubsetListError(path, "is not a text file in UTF-8", _FORMAT) from error

    line_of: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not (entry := line.strip()):
            continue
        where = f"line {number} ({_short(entry)!r})"
        *folders, name = entry.replace("\\", "/").split("/")
        if not name.endswith(".JPEG"):
            name += ".JPEG"
        claims = [folder for folder in folders if names.is_wnid(folder)]
        parsed = names.parse_path(name.encode())
        if parsed and parsed.appended:
            name = parsed.name.decode()
            claims.append(parsed.appended.decode())
        if names.training_wnid(name) is None:
            what = "of ILSVRC 2012's 1,000 synsets"
            if names.validation_number(name) is not None:
                what = "but a validation image"
            problem = f"{where} is not a training image {what}"
            raise SubsetListError(path, problem, _FORMAT)
        for claimed in claims:
            if wnid := names.mismatched_wnid(name, claimed):
                raise SubsetListError(
                    path,
                    f"{where} contradicts itself: it contains {claimed}, but {name} "
                    f"belongs to {wnid}",
                    "Find out which image it is, and correct the line",
                )
        if name in line_of:
            raise SubsetListError(
                path,
                f"contains {name} twice, in lines {line_of[name]} and {number}",
                "Remove one of the two",
            )
        line_of[name] = number
    if not line_of:
        raise SubsetListError(path, "is empty", _FORMAT)
    return list(line_of)


def _short(entry: str, length: int = 60) -> str:
    return entry if len(entry) <= length else entry[: length - 3] + "..."
