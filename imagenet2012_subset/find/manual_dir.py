"""What lies in the folder that users fill by hand: opened, or explained."""

from __future__ import annotations

import codecs
import difflib
from typing import NamedTuple

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import ManualDirError
from imagenet2012_subset.find.source import Source
from imagenet2012_subset.find.tar_archive import TarArchive
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION, Original
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.open import open_file
from imagenet2012_subset.storage.paths import dangling_link

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


class Sources(NamedTuple):
    """Where the images of both splits are."""

    training: Source
    validation: Source


def find_sources(
    manual_dir: epath.Path, index_folder: epath.Path | None = None
) -> Sources:
    """Opens what the folder has of each split; reads no image.

    Args:
      manual_dir: the folder.
      index_folder: where what lies in the archives is kept; None keeps nothing.

    Raises:
      ManualDirError: if it lacks the images of a split, or has something else instead.
      ArchiveError: if an archive cannot be opened.
    """
    return Sources(
        *(find_source(manual_dir, one, index_folder) for one in (TRAINING, VALIDATION))
    )


def find_source(
    manual_dir: epath.Path,
    original: Original,
    index_folder: epath.Path | None = None,
) -> Source:
    """Opens what the folder has of one split.

    Raises:
      ManualDirError: as `find_sources`.
      ArchiveError: likewise.
    """
    return TarArchive(_open_original(manual_dir, original), original, index_folder)


def manual_dir_of(dl_manager: tfds.download.DownloadManager) -> epath.Path:
    """Returns the folder that users fill by hand.

    Raises:
      ManualDirError: if it does not exist, is empty or cannot be listed.
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


def _open_original(manual_dir: epath.Path, original: Original) -> File:
    path = manual_dir / original.file_name
    if not path.exists():
        if target := dangling_link(path):
            raise ManualDirError(
                path,
                f"is a link to {target}, which does not exist",
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
    file = open_file(path)
    if problem := _foreign(file):
        raise ManualDirError(path, problem, original.how_to_get)
    return file


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


def _foreign(file: File) -> str | None:
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
