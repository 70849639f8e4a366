"""Extracts archives that `make/archives.py` made; holes in them stay holes."""

from __future__ import annotations

import os
import pathlib
import shutil
import tarfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.make.archives import TRAINING_NAME, VALIDATION_NAME

_CHUNK = 1 << 20


class _Member(NamedTuple):
    """A file in a tar; `offset` and `size` are in bytes of the outermost file."""

    name: str
    offset: int
    size: int


def extract_tree(
    archives: pathlib.Path, folder: pathlib.Path, wnid_of: Callable[[str], str]
) -> None:
    """Makes a folder for each synset in `train` and `val`, unless that is done.

    Args:
      archives: Folder of the archives.
      folder: Where to put the tree.
      wnid_of: Returns the synset of a validation image's name; torchvision's `ImageNet`
        expects them sorted by synset.
    """
    training, validation = archives / TRAINING_NAME, archives / VALIDATION_NAME

    def extract() -> None:
        for tar in _members(training):
            wnid = tar.name.removesuffix(".tar")
            for image in _members(training, tar):
                _copy(training, image, folder / "train" / wnid)
        for image in _members(validation):
            _copy(validation, image, folder / "val" / wnid_of(image.name))

    _once(folder, extract)


def extract_synset_tars(archives: pathlib.Path, folder: pathlib.Path) -> None:
    """Puts the synsets' tars into `train`, the images into `val`, unless it is done.

    Args:
      archives: Folder of the archives.
      folder: Where to put both.
    """

    def extract() -> None:
        for name, split in ((TRAINING_NAME, "train"), (VALIDATION_NAME, "val")):
            for member in _members(archives / name):
                _copy(archives / name, member, folder / split)

    _once(folder, extract)


def _once(folder: pathlib.Path, extract: Callable[[], None]) -> None:
    done = folder / "extracted"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        extract()
        os.sync()
        done.touch()


def _members(path: pathlib.Path, inside: _Member | None = None) -> Iterator[_Member]:
    """Yields the members of a tar, or of a tar that is inside it."""
    start = inside.offset if inside else 0
    with path.open("rb") as file:
        file.seek(start)
        # It counts offsets from the start of the file, not of the inner tar.
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                yield _Member(info.name, info.offset_data, info.size)


def _copy(source_path: pathlib.Path, member: _Member, folder: pathlib.Path) -> None:
    """Copies a member to a separate file, except for its holes."""
    folder.mkdir(parents=True, exist_ok=True)
    with source_path.open("rb") as source, (folder / member.name).open("wb") as target:
        position, end = member.offset, member.offset + member.size
        while position < end:
            try:
                data = os.lseek(source.fileno(), position, os.SEEK_DATA)
            except OSError:  # Nothing but a hole up to the end.
                break
            hole = os.lseek(source.fileno(), data, os.SEEK_HOLE)
            position, stop = min(data, end), min(hole, end)
            while position < stop:
                source.seek(position)
                stretch = source.read(min(_CHUNK, stop - position))
                target.seek(position - member.offset)
                target.write(stretch)
                position += len(stretch)
        target.truncate(member.size)
