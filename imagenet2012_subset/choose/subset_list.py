"""Reads a subset list: the names of the training images to keep."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.choose.config import SubsetConfig
from imagenet2012_subset.errors import SubsetListError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.tfds_internals import DownloadError

_FORMAT = (
    "A subset list has one training image a line, such as n01440764_18.JPEG "
    "(.JPEG may be missing, n01440764/ may stand before it)"
)


def fingerprint(listed: Iterable[str]) -> str:
    """Returns a SHA-256 in hexadecimal that tells sets of names apart."""
    return hashlib.sha256("\n".join(sorted(listed)).encode()).hexdigest()


def fetch_subset_list(
    config: SubsetConfig, dl_manager: tfds.download.DownloadManager
) -> list[str]:
    """Returns the names of a config's training images, downloading its list if need be.

    Raises:
      SubsetListError: as `read_subset_list`; or if the list cannot be downloaded, or
        has another number of names than the config says.
    """
    path = config.subset_list
    if config.is_remote:
        try:
            path = dl_manager.download(config.subset_list)
        # What `requests` raises derives from OSError.
        except (OSError, DownloadError) as error:
            raise SubsetListError(
                config.subset_list,
                f"cannot be downloaded ({error})",
                "Without internet, put the file into manual_dir, under the name that "
                "checksums.tsv gives it, or pass a local path as subset_list",
            ) from error
    listed = read_subset_list(path)
    if config.training_images not in (None, len(listed)):
        raise SubsetListError(
            path,
            f"has {len(listed):,} names, but config {config.name!r} has "
            f"{config.training_images:,}",
            "Use the list of that config, or a SubsetConfig of your own",
        )
    return listed


def read_subset_list(subset_list: os.PathLike[str] | str) -> list[str]:
    """Returns the names in a subset list, as ImageNet writes them, in list order.

    Lines may end in LF or CRLF, the file may start with a byte order mark, and blank
    lines do not count. A name may stand with or without `.JPEG`, and with folders
    before it.

    Raises:
      SubsetListError: if the file cannot be read or is empty, or if a line names no
        training image of the 1,000 synsets, or one that an earlier line named.
    """
    path = epath.Path(subset_list)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise SubsetListError(path, f"cannot be read ({reason})", _FORMAT) from error
    except UnicodeDecodeError as error:
        raise SubsetListError(path, "is not a text file in UTF-8", _FORMAT) from error

    line_of: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not (entry := line.strip()):
            continue
        name = entry.replace("\\", "/").rpartition("/")[2]
        if not name.endswith(".JPEG"):
            name += ".JPEG"
        if names.training_wnid(name) is None:
            problem = f"line {number} ({_short(entry)!r}) names no training image"
            if names.validation_number(name) is not None:
                problem += " but one of the validation set"
            else:
                problem += " of ILSVRC 2012's 1,000 synsets"
            raise SubsetListError(path, problem, _FORMAT)
        if name in line_of:
            raise SubsetListError(
                path,
                f"names {name} twice, in lines {line_of[name]} and {number}",
                "Remove one of the two",
            )
        line_of[name] = number
    if not line_of:
        raise SubsetListError(path, "is empty", _FORMAT)
    return list(line_of)


def _short(entry: str, length: int = 60) -> str:
    return entry if len(entry) <= length else entry[: length - 3] + "..."
