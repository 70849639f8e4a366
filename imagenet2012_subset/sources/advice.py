"""Identifies files that are not the expected archive, and suggests what to do.

The advice follows from the first bytes of a file, never from its name.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import os
import re
import shlex
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from imagenet2012_subset.errors import DatasetError, counted
from imagenet2012_subset.file_types import START_BYTES, FileType, file_type
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION, Original
from imagenet2012_subset.storage.files import Files
from imagenet2012_subset.storage.open import find_files, open_files
from imagenet2012_subset.tar.headers import (
    BLOCK,
    ZERO_BLOCK,
    Tar,
    has_checksum,
    name_field,
    read_member,
)

# A block of bzip2 decompresses as a whole: it has up to 900 kB.
_COMPRESSED_BYTES = 1 << 20
_QUOTED = 60

# The command that decompresses a file, and what decompresses its beginning here.
_COMPRESSED: dict[FileType, tuple[str, Callable[[], Any] | None]] = {
    FileType.GZIP: ("gzip", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    FileType.BZIP2: ("bzip2", bz2.BZ2Decompressor),
    FileType.XZ: ("xz", lzma.LZMADecompressor),
    FileType.ZSTD: ("zstd", None),
    FileType.LZ4: ("lz4", None),
}
_TASK_3 = "the archive of task 3 (dogs), which contains only 120 of 1,000 synsets"
_TEST = "an archive of the test images, which have no labels"
_KAGGLE = "Kaggle's zip archive"
_ANSWERS = (FileType.WEB_PAGE, FileType.JSON, FileType.TEXT)

_ARCHIVE = re.compile(r"\.(tar|tgz|tbz|txz|zip|gz|bz2|xz|zst|lz4|7z|rar)\b")

# What browsers and download tools append to a name until a download has finished.
_UNFINISHED = (".part", ".crdownload", ".download", ".partial", ".aria2", ".tmp")


class Advice(NamedTuple):
    """What is wrong with a file, and what to do.

    Attributes:
      problem: continues a sentence that begins with the file.
      remedy: complete sentences without the last full stop.
    """

    problem: str
    remedy: str


def why_not_tar(files: Files, original: Original, target: str) -> Advice | None:
    """Returns what a file is if its first bytes show that it is not a tar.

    Args:
      files: one file.
      original: the archive that it should be.
      target: the path at which that archive is expected.
    """
    path, size = files.path(0), files.size(0)
    if not size:
        return Advice("is empty", original.how_to_get)
    start = files.read(0, 0, min(START_BYTES, size))
    if len(start) == BLOCK and has_checksum(start):
        return None
    if not (found := file_type(start)):
        return None
    problem = f"is {found.value}, not a tar"
    # Only a file at the archive's path is in the way.
    in_place = path == target
    get_original = f"{'Move it away. ' if in_place else ''}{original.how_to_get}"
    if found in _COMPRESSED:
        return _why_compressed(files, found, original, target)
    if found in _ANSWERS:
        length = counted(size, "byte")
        return Advice(
            f"is {found.value} of {length}, not a tar ({_quoted(start)})",
            "A server may have returned it in place of the archive, for example "
            f"because it requires a log-in. {get_original}",
        )
    if found is FileType.GIT_LFS:
        folder = os.path.dirname(path) or "."
        return Advice(problem, f"Run `git lfs pull` in {folder} to replace it")
    if found is FileType.ZIP:
        is_kaggle = b"ILSVRC/" in start or b"LOC_" in start
        return Advice(
            f"is {_KAGGLE if is_kaggle else found.value}, not a tar",
            f"Extract it: unzip -q {shlex.quote(path)} -d "
            f"{shlex.quote(os.path.dirname(target))}. Kaggle's ILSVRC/Data/CLS-LOC/ "
            f"is used as it is{'; then move the zip archive away' if in_place else ''}",
        )
    if found is FileType.PARQUET:
        return Advice(
            problem,
            "The Hugging Face hub's Parquet files are used from data/train-*.parquet "
            f"and data/validation-*.parquet, all of them. Or: {get_original}",
        )
    return Advice(problem, get_original)


def _why_compressed(
    files: Files, found: FileType, original: Original, target: str
) -> Advice:
    path = files.path(0)
    problem = f"is {found.value}, not a tar"
    inside = _decompressed(files, found)
    if has_checksum(inside) and not _is_of(original, inside):
        name = name_field(inside).decode(errors="replace")
        return Advice(
            f"{problem}; it starts with {name}, which is not in the archive",
            original.how_to_get,
        )
    output = f"{target}.new" if path == target else target
    command = f"{_COMPRESSED[found][0]} -dc {shlex.quote(path)} > {shlex.quote(output)}"
    if path == target:
        command += f" && mv {shlex.quote(output)} {shlex.quote(target)}"
    return Advice(problem, f"Decompress it: {command}")


def _decompressed(files: Files, found: FileType) -> bytes:
    """Returns the first 512 decompressed bytes, or zeros if there are none."""
    _, decompressor = _COMPRESSED[found]
    data = files.read(0, 0, min(_COMPRESSED_BYTES, files.size(0)))
    start = b""
    if decompressor:
        with contextlib.suppress(zlib.error, OSError, lzma.LZMAError, EOFError):
            start = decompressor().decompress(data, BLOCK)
    return start[:BLOCK].ljust(BLOCK, b"\0")


def _is_of(original: Original, header: bytes) -> bool:
    """Whether the first member of a tar is one of the archive's, or a folder."""
    name = name_field(header)
    return name.endswith(b"/") or _kind([name]) == original.file_name


def describe_file(path: str, original: Original, target: str) -> Advice | None:
    """Returns what a file next to the missing archive is, if it is related to it.

    Args:
      path: the file.
      original: the archive that is missing.
      target: its path.

    Returns:
      None for a file that is not a tar of ImageNet, and whose name does not contain the
      archive's.
    """
    name = os.path.basename(path).lower()
    _, stem, rest = name.partition(original.file_name.removesuffix(".tar").lower())
    has_its_name = stem and ("." not in rest or _ARCHIVE.search(rest) is not None)
    try:
        with open_files(find_files([path])) as files:
            size = files.size(0)
            advice = why_not_tar(files, original, target)
            enough = names.NUM_TASK_3_SYNSETS + 1
            kind = None if advice else _kind(_first_names(files, enough))
    except DatasetError:
        return None
    is_other_file = size and advice
    may_be_it = not is_other_file and kind in (original.file_name, None)
    if may_be_it and has_its_name and name.endswith(_UNFINISHED):
        return Advice(
            f"is an unfinished download ({size:,} of {original.size:,} bytes)",
            "Let the download finish",
        )
    if advice:
        return advice if has_its_name or _KAGGLE in advice.problem else None
    if kind == original.file_name:
        what = "training" if original == TRAINING else "validation"
        rename = f"mv {shlex.quote(path)} {shlex.quote(target)}"
        return Advice(f"is a tar of {what} images", f"Rename it: {rename}")
    if kind == (_TASK_3 if original == TRAINING else _TEST):
        return Advice(f"is {kind}", original.how_to_get)
    return None


def _first_names(files: Files, limit: int) -> list[bytes]:
    """Returns the names of a tar's first regular files, as far as it is readable."""
    whole = Tar("the archive", 0, 0, files.size(0))
    position = 0
    found: list[bytes] = []
    with contextlib.suppress(DatasetError):
        while position + BLOCK <= whole.end and len(found) < limit:
            if files.read(0, position, BLOCK) == ZERO_BLOCK:
                break
            member = read_member(files, whole, position, {})
            position = member.next_offset
            if member.name is not None:
                found.append(member.name)
    return found


def _kind(members: list[bytes]) -> str | None:
    """Returns which archive contains these members.

    Returns:
      The file name of a published archive that this package uses, a description of
      another archive, or None.
    """
    last_parts = [name.rpartition(b"/")[2].decode(errors="replace") for name in members]
    synsets = {
        name.removesuffix(".tar")
        for name in last_parts
        if name.endswith(".tar") and names.is_wnid(name.removesuffix(".tar"))
    }
    if len(synsets) == len(last_parts) == names.NUM_TASK_3_SYNSETS:
        return _TASK_3
    if synsets:
        return TRAINING.file_name
    images = [image.name for name in members if (image := names.parse_path(name))]
    if any(image.startswith(b"n") for image in images):
        return TRAINING.file_name
    if any(image.startswith(b"ILSVRC2012_val_") for image in images):
        return VALIDATION.file_name
    return _TEST if images else None


def _quoted(start: bytes) -> str:
    text = " ".join(start.decode(errors="replace").split())
    return repr(text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}...")
