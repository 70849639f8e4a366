"""What lies in the folder that users fill by hand: opened, or explained.

Here alone it is decided in which form the images of a split are taken.
"""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Callable
from typing import NamedTuple

import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import DatasetError, ManualDirError, first_of
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION, Original
from imagenet2012_subset.sources.forms import find_forms, what_will_do
from imagenet2012_subset.sources.source import Source
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.storage.files import Files
from imagenet2012_subset.storage.open import exists
from imagenet2012_subset.storage.paths import dangling_link, irregular, is_local
from imagenet2012_subset.tfds_internals import asked_manual_dir

_HOW_TO_GET = "; ".join(one.how_to_get for one in (TRAINING, VALIDATION))
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


class Choice(NamedTuple):
    """Where the images of a split are taken from.

    Attributes:
      source: these images.
      passed_over: in words, what else there is of the split, which is not taken.
    """

    source: Source
    passed_over: tuple[str, ...]

    def __str__(self) -> str:
        source = self.source
        others = f"; not the {first_of(self.passed_over)}" if self.passed_over else ""
        return f"from {source.path} ({source.form}{others})"


class Sources(NamedTuple):
    """Where the images of both splits are."""

    training: Source
    validation: Source


def find_sources(
    manual_dir: epath.Path,
    index_folder: epath.Path | None = None,
    on_choice: Callable[[str], object] = lambda line: None,
) -> Sources:
    """Opens what the folder has of each split; reads no image.

    Args:
      manual_dir: the folder.
      index_folder: where what lies in the archives is kept; None keeps nothing.
      on_choice: called with a line that says which was chosen of what is there.

    Raises:
      ManualDirError: if it lacks the images of a split, or has something else instead.
      ArchiveError: if an archive cannot be opened.
    """
    training, validation = (
        choose_source(manual_dir, one, index_folder) for one in (TRAINING, VALIDATION)
    )
    on_choice(f"Takes training images {training}, validation images {validation}")
    return Sources(training.source, validation.source)


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
    return choose_source(manual_dir, original, index_folder).source


def choose_source(
    manual_dir: epath.Path,
    original: Original,
    index_folder: epath.Path | None = None,
) -> Choice:
    """Opens what the folder has of one split: the archive where it is there.

    Raises:
      ManualDirError: as `find_sources`.
      ArchiveError: likewise.
    """
    _ensure_folder(manual_dir)
    path = manual_dir / original.file_name
    forms, problems = find_forms(manual_dir, original, index_folder)
    with_images = tuple(form.what for form in forms if form.has_images)
    if exists(str(path)):
        try:
            archive = _open_original(path, original, index_folder)
        except DatasetError as error:
            if not with_images:
                raise
            remedy = f"{error.remedy}; or move it away, to take the {with_images[0]}"
            raise type(error)(error.path, error.problem, remedy) from error
        return Choice(archive, with_images)
    if not forms and problems:
        raise problems[0]
    if not forms:
        raise ManualDirError(
            path,
            f"does not exist{_similar(manual_dir, original)}",
            f"{original.how_to_get}. {what_will_do(original)}",
        )
    return Choice(forms[0].source(), with_images[1:])


def manual_dir_of(dl_manager: tfds.download.DownloadManager) -> epath.Path:
    """Returns the folder that users fill by hand.

    Raises:
      ManualDirError: if it does not exist, is empty or cannot be listed. A bucket is
        not listed: archives are looked up there by name.
    """
    requested = asked_manual_dir(dl_manager)
    if requested is not None and not is_local(requested):
        return requested
    try:
        return epath.Path(dl_manager.manual_dir)
    except OSError as error:
        raise ManualDirError(
            error.filename or "manual_dir",
            f"cannot be listed ({error.strerror})",
            "Give a directory that is readable for the user who builds the dataset",
        ) from error
    except AssertionError as error:
        if requested is None:
            raise ManualDirError("manual_dir", "is not given", _HOW_TO_GET) from error
        _ensure_folder(requested)
        raise ManualDirError(requested, "is empty", _HOW_TO_GET) from error


def _ensure_folder(manual_dir: epath.Path) -> None:
    # Folders of remote storage are there once there is something in them.
    if is_local(manual_dir) and not manual_dir.is_dir():
        problem = "is no directory" if manual_dir.exists() else "does not exist"
        raise ManualDirError(manual_dir, problem, _HOW_TO_GET)


def _open_original(
    path: epath.Path, original: Original, index_folder: epath.Path | None
) -> TarArchive:
    if target := dangling_link(path):
        raise ManualDirError(
            path,
            f"is a link to {target}, which does not exist",
            "Let it point to the archive",
        )
    if what := irregular(path):
        raise ManualDirError(
            path,
            f"is {what}, but the archive itself is wanted",
            f"Replace it by the tar, not extracted. {original.how_to_get}",
        )
    archive = TarArchive(path, original, index_folder)
    if problem := _foreign(archive.files):
        raise ManualDirError(path, problem, original.how_to_get)
    return archive


def _similar(manual_dir: epath.Path, original: Original) -> str:
    if not is_local(manual_dir):
        return ""
    try:
        present = sorted(entry.name for entry in manual_dir.iterdir())
    except OSError:
        present = []
    lower = {_finished(name.lower()): name for name in reversed(present)}
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


def _finished(name: str) -> str:
    """Returns what a download will be called once it is finished."""
    for end in _UNFINISHED:
        name = name.removesuffix(end)
    return name


def _foreign(files: Files) -> str | None:
    if not files.size(0):
        return "is empty"
    start = files.read(0, 0, min(512, files.size(0)))
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
