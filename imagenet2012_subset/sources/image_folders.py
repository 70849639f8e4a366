"""Folders of extracted images as a source: what is listed is looked up and read."""

from __future__ import annotations

import dataclasses
import errno
import functools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging
from etils import epath

from imagenet2012_subset.errors import ArchiveError, counted, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, Original
from imagenet2012_subset.sources.entries import Entries, Entry, decoded
from imagenet2012_subset.sources.source import Listing
from imagenet2012_subset.storage.direct_reads import DirectReads
from imagenet2012_subset.storage.folders import (
    Folder,
    Status,
    leads_upwards,
    list_folders,
    statuses,
)
from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.many_files import ManyFiles
from imagenet2012_subset.storage.paths import dangling_link
from imagenet2012_subset.storage.queue import Extent

_MAX_OTHERS = 5
_EXTRACT = "Extract it again from the original archive"
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)

# So many images of any kind have nearly the average size of all.
_ENOUGH_FOR_AN_AVERAGE = 1000


class Layout(NamedTuple):
    """One way in which a folder has images.

    Attributes:
      folder: the folder.
      by_synset: whether they lie in a folder for each synset.
      wnid_appended: whether names have the wnid once more, before their suffix.
    """

    folder: str
    by_synset: bool
    wnid_appended: bool

    def path(self, name: str) -> str:
        """Returns where the image called `name` has to lie."""
        wnid = names.wnid(name)
        if self.wnid_appended:
            name = f"{name.removesuffix('.JPEG')}_{wnid}.JPEG"
        if self.by_synset:
            return os.path.join(self.folder, wnid, name)
        return os.path.join(self.folder, name)

    def __str__(self) -> str:
        folder = os.path.basename(self.folder)
        below = "<wnid>/" if self.by_synset else ""
        return f"{folder}/{below}*{'_<wnid>' if self.wnid_appended else ''}.JPEG"


def layouts_of(folder: str) -> list[Layout]:
    """Returns all ways in which a folder may have images."""
    return [
        Layout(folder, by_synset, appended)
        for by_synset in (True, False)
        for appended in (False, True)
    ]


@dataclasses.dataclass(frozen=True)
class TreeOrigin:
    """Opens a tree again; whether an image has changed shows when it is read.

    Attributes:
      layouts: in which ways it has images.
      original: the published archive that was extracted.
    """

    layouts: tuple[Layout, ...]
    original: Original

    def open(self) -> FolderTree:
        return FolderTree(self.layouts, self.original)


@dataclasses.dataclass(frozen=True)
class _Listed:
    """All images that folders hold, a row each: its name and which layout has it."""

    names: list[bytes]
    layouts: list[int]
    others: list[str]


class FolderTree:
    """A `Source` of one image a file.

    Images are in the order of their names. Of training images the wanted ones alone are
    looked up; all are listed only to say what is there where one is missing. Of
    validation images all are wanted, so that they are listed.
    """

    def __init__(self, layouts: Sequence[Layout], original: Original):
        """Takes folders; looks at nothing yet.

        Args:
          layouts: in which ways they have images, as far as is known.
          original: the published archive that was extracted.
        """
        folders = list(dict.fromkeys(layout.folder for layout in layouts))
        every = [layout for folder in folders for layout in layouts_of(folder)]
        self.path = epath.Path(folders[0])
        self.original = original
        self._expected = tuple(layouts)
        self._layouts = tuple(dict.fromkeys([*layouts, *every]))
        self._folders = folders
        self._direct_reads = DirectReads()

    @property
    def origin(self) -> TreeOrigin:
        return TreeOrigin(self._expected, self.original)

    @property
    def form(self) -> str:
        return f"extracted images, {' and '.join(map(str, self._expected))}"

    @property
    def remedy(self) -> str:
        tar = self.original.file_name
        return (
            f"Extract {tar} again, or put it into manual_dir as it is: of a tar and a "
            "folder the tar is taken"
        )

    @property
    def size(self) -> None:
        return None

    def sha256(self) -> None:
        return None

    def describe(self) -> str:
        listing = self.listing()
        others = ""
        if listing.num_others:
            shown = first_of(listing.others)
            others = f" and {counted(listing.num_others, 'other file')} ({shown})"
        images = counted(len(listing.names), "image")
        ways = " and ".join(map(str, self._expected))
        return f"it has {images}{others}; images are looked for in {ways}"

    def listing(self) -> Listing:
        listed = self._listed
        return Listing(
            np.array(listed.names, np.bytes_),
            len(listed.others),
            tuple(listed.others[:_MAX_OTHERS]),
        )

    def look_up(self, wanted: Sequence[str]) -> Entries:
        known = set(wanted)
        if self.original == TRAINING:
            found = self._found(
                [
                    (name, layout)
                    for name in sorted(known)
                    for layout in range(len(self._expected))
                ]
            )
            if missing := sorted(known.difference(decoded(found.names))):
                # Not where the first that were seen lie.
                elsewhere = self._found(self._listed_of(set(missing)))
                found = Entries.concatenate([found, elsewhere])
        else:
            found = self._found(self._listed_of(known))
        _warn_of_other_sizes(self.path, self.original, found)
        return found.take(np.argsort(found.names, kind="stable"))

    def _listed_of(self, wanted: set[str]) -> list[tuple[str, int]]:
        """Returns which layouts have the wanted images, by name."""
        listed = self._listed
        rows = zip(listed.names, listed.layouts, strict=True)
        return sorted(
            (text, layout) for name, layout in rows if (text := name.decode()) in wanted
        )

    def _found(self, places: Sequence[tuple[str, int]]) -> Entries:
        """Looks up images, each in one layout; leaves out what is not there."""
        paths = [self._layouts[layout].path(name) for name, layout in places]
        found = [
            (place, status)
            for place, path, result in zip(places, paths, statuses(paths), strict=True)
            if (status := _usable(path, result))
        ]
        return Entries.from_columns(
            names=[name.encode() for (name, _), _ in found],
            files=[layout for (_, layout), _ in found],
            offsets=[0] * len(found),
            sizes=[status.size for _, status in found],
            seals=[status.changed_ns for _, status in found],
        )

    def read_in_order(self, entries: Entries) -> Iterator[memoryview]:
        paths = [
            self._layouts[layout].path(name)
            for name, layout in zip(
                decoded(entries.names), entries.files.tolist(), strict=True
            )
        ]
        files = ManyFiles(
            self.path, paths, entries.sizes, entries.seals, self._direct_reads
        )
        extents = [
            Extent(start, size)
            for start, size in zip(
                files.starts.tolist(), entries.sizes.tolist(), strict=True
            )
        ]
        yield from read_in_order(files, extents)

    def damaged(self, entry: Entry, problem: str) -> ArchiveError:
        return ArchiveError(
            self._layouts[entry.file].path(entry.name),
            problem,
            f"Extract this image again from {self.original.file_name}",
        )

    @functools.cached_property
    def _listed(self) -> _Listed:
        listed = _Listed([], [], [])
        tops = _list(self._folders)
        for folder, top in zip(self._folders, tops, strict=True):
            self._sort_out(listed, folder, None, top)
            folders = map(os.fsdecode, top.folders)
            wnids = [name for name in folders if names.is_wnid(name)]
            below = [os.path.join(folder, wnid) for wnid in wnids]
            for name in top.links:
                _refuse_loop(_path(folder, None, name))
            for wnid, held in zip(wnids, _list(below), strict=True):
                self._sort_out(listed, folder, wnid, held)
        return listed

    def _sort_out(
        self, listed: _Listed, folder: str, wnid: str | None, held: Folder
    ) -> None:
        """Tells images from other files, and sees that they are in the right folder."""
        for name in held.folders:
            if names.parse_path(name):
                problem = "is a directory, not an image"
                raise ArchiveError(_path(folder, wnid, name), problem, _EXTRACT)
            if wnid is not None or not names.is_wnid(os.fsdecode(name)):
                listed.others.append(_shown(wnid, name) + "/")
        for name in held.broken:
            if names.parse_path(name) or names.is_wnid(os.fsdecode(name)):
                raise _broken_link(_path(folder, wnid, name))
        layout_of = {
            appended: self._layouts.index(Layout(folder, wnid is not None, appended))
            for appended in (False, True)
        }
        for file_name in held.files:
            if not (image := names.parse_path(file_name)):
                listed.others.append(_shown(wnid, file_name))
                continue
            if wnid is not None or image.appended:
                _check_wnids(_path(folder, wnid, file_name), image, wnid)
            listed.names.append(image.name)
            listed.layouts.append(layout_of[image.appended is not None])


def _check_wnids(path: str, image: names.ImagePath, folder: str | None) -> None:
    name = image.name.decode()
    if folder is not None and (truth := names.belies(name, folder)):
        raise ArchiveError(
            path,
            f"lies in the folder of {folder}, but an image of this name is of {truth}: "
            "it was sorted wrongly",
            "Extract the archive again and sort it anew; or leave validation images in "
            "one folder, as they extract",
        )
    said = image.appended.decode() if image.appended is not None else None
    if said is not None and (truth := names.belies(name, said)):
        raise ArchiveError(
            path,
            f"has {said} appended to its name, but {name} is of {truth}",
            "Find out which image it is, or extract the original archive",
        )


def _path(folder: str, wnid: str | None, name: bytes) -> str:
    return os.path.join(folder, wnid or "", os.fsdecode(name))


def _shown(wnid: str | None, name: bytes) -> str:
    return os.path.join(wnid or "", name.decode(errors="replace"))


def _list(folders: Sequence[str]) -> list[Folder]:
    try:
        return list_folders(folders)
    except OSError as error:
        raise ArchiveError(
            os.fsdecode(error.filename or folders[0]),
            f"cannot be listed ({error.strerror or error})",
            "Make it readable for the user who builds the dataset",
        ) from error


def _broken_link(path: str) -> ArchiveError:
    target = dangling_link(epath.Path(path))
    where = f" to {target}" if target else ""
    return ArchiveError(
        path,
        f"is a link{where} that leads nowhere",
        "Let it point to what is wanted, or extract it again",
    )


def _refuse_loop(path: str) -> None:
    if leads_upwards(path):
        raise ArchiveError(
            path,
            "is a link to the folder that it lies in, or to one above",
            "Remove it, or let it point to what is wanted",
        )


def _warn_of_other_sizes(path: epath.Path, original: Original, found: Entries) -> None:
    """Warns of images that seem to have been resized or encoded again.

    Nobody can tell such an image from an original. But of many the average is known,
    and of a few it is unlikely that all are less than half or more than twice as long.
    """
    if not len(found):
        return
    usual, average = original.mean_image_bytes, float(found.sizes.mean())
    if len(found) >= _ENOUGH_FOR_AN_AVERAGE:
        is_far = not usual * 3 / 4 < average < usual * 4 / 3
    else:
        is_far = bool(found.sizes.max() < usual / 2 or found.sizes.min() > usual * 2)
    if is_far:
        logging.warning(
            "%s: %s have %s bytes on average, the originals %s: they seem to have been "
            "resized or encoded again. The dataset will hold them as they are.",
            path,
            counted(len(found), "image"),
            f"{average:,.0f}",
            f"{usual:,.0f}",
        )


def _usable(path: str, result: Status | OSError) -> Status | None:
    """Returns what is known of a file that may be an image; None if there is none.

    Raises:
      ArchiveError: if something is there, but it is no image.
    """
    if isinstance(result, OSError):
        if result.errno in _NOT_THERE:
            return None
        reason = result.strerror or result
        raise ArchiveError(
            path,
            f"cannot be looked up ({reason})",
            "See that it is a file, and readable for the user who builds the dataset",
        ) from result
    if result.what:
        raise ArchiveError(path, f"is {result.what}, not an image", _EXTRACT)
    if not result.size:
        raise ArchiveError(path, "is empty", _EXTRACT)
    return result
