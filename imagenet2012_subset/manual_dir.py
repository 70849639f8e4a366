"""Finds the two archives that users download by hand."""

from __future__ import annotations

import codecs
import dataclasses
import difflib
import os

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.archive_file import ArchiveFile, open_archive
from imagenet2012_subset.errors import ManualDirError
from imagenet2012_subset.local import is_local

_HOW_TO_GET = (
    "Register on https://image-net.org/download-images, download {name} "
    "(ILSVRC 2012, {what}) and place it there"
)


@dataclasses.dataclass(frozen=True)
class Original:
    """An archive as ImageNet publishes it.

    Attributes:
      file_name: its name on the download page.
      what: what the download page calls it.
      size: its length in bytes.
      sha256: of its bytes, in hexadecimal.
      num_images: how many images it holds.
    """

    file_name: str
    what: str
    size: int
    sha256: str
    num_images: int

    @property
    def how_to_get(self) -> str:
        return _HOW_TO_GET.format(name=self.file_name, what=self.what)


# Sizes and hashes are those of the files on image-net.org.
TRAINING = Original(
    "ILSVRC2012_img_train.tar",
    "training images, tasks 1 and 2",
    147_897_477_120,
    "b08200a27a8e34218a0e58fde36b0fe8f73bc377f4acea2d91602057c3ca45bb",
    1_281_167,
)
VALIDATION = Original(
    "ILSVRC2012_img_val.tar",
    "validation images, all tasks",
    6_744_924_160,
    "c7e06a6c0baccf06d8dbeb6577d71efff84673a5dbdd50633ab44f8ea0456ae0",
    50_000,
)

_FOREIGN_STARTS = {
    b"\x1f\x8b": "is compressed with gzip (decompress it: gunzip)",
    b"BZh": "is compressed with bzip2 (decompress it: bunzip2)",
    b"\xfd7zXZ\0": "is compressed with xz (decompress it: unxz)",
    b"(\xb5/\xfd": "is compressed with zstd (decompress it: unzstd)",
    b"PK\x03\x04": "is a zip file, not a tar",
}
# What browsers and download tools append while they are at it.
_UNFINISHED = (".part", ".crdownload", ".download", ".partial", ".aria2", ".tmp")
_WEB_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")


def find_manual_dir(dl_manager: tfds.download.DownloadManager) -> epath.Path:
    """Returns the folder that users put the archives in.

    Raises:
      ManualDirError: if it does not exist or is empty.
    """
    try:
        return epath.Path(dl_manager.manual_dir)
    except OSError as error:
        raise ManualDirError(
            error.filename or "manual_dir",
            f"cannot be listed ({error.strerror})",
            "Give a directory that is readable for the user who builds the dataset",
        ) from error
    except AssertionError as error:
        problem = str(error).partition(". ")[0]
        remedy = "; ".join(one.how_to_get for one in (TRAINING, VALIDATION))
        raise ManualDirError("manual_dir", problem, remedy) from error


def open_original(manual_dir: epath.Path, original: Original) -> ArchiveFile:
    """Opens one of the two archives.

    Raises:
      ManualDirError: if it is not there, or what is there is no tar. The message says
        which similar file was found, and what to do.
      ArchiveError: if it cannot be opened.
    """
    path = manual_dir / original.file_name
    if not path.exists():
        if _is_link(path):
            raise ManualDirError(
                path,
                f"is a link to {os.readlink(path)}, which does not exist",
                "Let it point to the archive",
            )
        raise ManualDirError(
            path, f"does not exist{_similar(manual_dir, original)}", original.how_to_get
        )
    if not path.is_file():
        what = "a directory" if path.is_dir() else "no regular file"
        raise ManualDirError(
            path,
            f"is {what}, but the archive itself is wanted",
            f"Replace it by the tar, not extracted. {original.how_to_get}",
        )
    file = open_archive(path)
    if problem := _foreign(file):
        raise ManualDirError(path, problem, original.how_to_get)
    return file


def _is_link(path: epath.Path) -> bool:
    return is_local(path) and os.path.islink(path)


def _similar(manual_dir: epath.Path, original: Original) -> str:
    try:
        present = sorted(entry.name for entry in manual_dir.iterdir())
    except OSError:
        present = []
    lower = {name.lower(): name for name in reversed(present)}
    close = difflib.get_close_matches(original.file_name.lower(), lower, 1, cutoff=0.85)
    others = {TRAINING.file_name, VALIDATION.file_name}
    if close and lower[close[0]] not in others:
        found = lower[close[0]]
        if found.lower().endswith(_UNFINISHED):
            return f", though there is {found!r} (let that download finish)"
        return f", though there is {found!r} (rename it if it is the archive)"
    if not present:
        return " (the directory is empty)"
    shown = ", ".join(present[:5]) + (", ..." if len(present) > 5 else "")
    return f" (the directory has {shown})"


def _foreign(file: ArchiveFile) -> str | None:
    if not file.size:
        return "is empty"
    start = file.read(0, min(512, file.size))
    for magic, what in _FOREIGN_STARTS.items():
        if start.startswith(magic):
            return what
    if (
        start.removeprefix(codecs.BOM_UTF8)
        .lstrip()
        .lower()
        .startswith(_WEB_PAGE_STARTS)
    ):
        return (
            "is a web page, not a tar (the download led to a log-in or an error page)"
        )
    return None
