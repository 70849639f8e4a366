"""Folders of extracted images as a source."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging
from etils import epath

from imagenet2012_subset.errors import ArchiveError, counted, first_of
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, Original
from imagenet2012_subset.sources.source import Entries, Entry, Listing, Source
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.paths import (
    NOT_THERE,
    Folder,
    Status,
    cannot_list,
    dangling_link,
    leads_upwards,
    list_folders,
    statuses,
    with_content,
)

_MAX_OTHERS = 5
_EXTRACT = "Extract it again from the original archive"

# This many images of any kind have nearly the average size of all.
_ENOUGH_FOR_AN_AVERAGE = 1000


class Layout(NamedTuple):
    """One way in which a folder can store images.

    Attributes:
      folder: the folder.
      by_synset: whether it has a folder for each synset.
      wnid_appended: whether the wnid is appended to each name, before its suffix.
    """

    folder: str
    by_synset: bool
    wnid_appended: bool

    def path(self, name: str) -> str:
        """Returns the path that the image called `name` must have."""
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
    """Returns all ways in which a folder can store images."""
    return [
        Layout(folder, by_synset, appended)
        for by_synset in (True, False)
        for appended in (False, True)
    ]


class _Listed(NamedTuple):
    """All files in the folders: images with their layouts, and other names."""

    names: list[bytes]
    layouts: list[Layout]
    others: list[str]


class ImageFolders(Source):
    """Extracted images, in the order of their names.

    Only the requested training images are looked up; all files are listed only if one
    is missing. All validation images are needed, so they are listed.
    """

    def __init__(self, layouts: Sequence[Layout], original: Original):
        """Stores the folders; does not read them yet.

        Args:
          layouts: how they store images, as far as is known.
          original: the published archive that was extracted.
        """
        folders = list(dict.fromkeys(layout.folder for layout in layouts))
        self.path = epath.Path(folders[0])
        self.original = original
        self._expected = tuple(layouts)
        self._folders = folders

    @property
    def form(self) -> str:
        return f"extracted images, {' and '.join(map(str, self._expected))}"

    @property
    def remedy(self) -> str:
        tar = self.original.file_name
        return (
            f"Extract {tar} again, or put it into manual_dir as it is: if both exist, "
            "the tar is used"
        )

    def describe(self) -> str:
        listing = self.listing()
        others = ""
        if listing.num_others:
            shown = first_of(listing.others)
            others = f" and {counted(listing.num_others, 'other file')} ({shown})"
        images = counted(len(listing.names), "image")
        ways = " and ".join(map(str, self._expected))
        return f"it has {images}{others}; images are expected in {ways}"

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
                [(name, layout) for name in sorted(known) for layout in self._expected]
            )
            present = {name for name, _, _ in found}
            if missing := known.difference(present):
                # They may be in a different layout than the first images.
                found += self._found(self._listed_of(missing))
        else:
            found = self._found(self._listed_of(known))
        found.sort(key=lambda one: one[:2])
        found_statuses = [status for _, _, status in found]
        entries = Entries.from_columns(
            FileTable.of([path for _, path, _ in found], found_statuses),
            names=[name.encode() for name, _, _ in found],
            files=range(len(found)),
            offsets=[0] * len(found),
            sizes=[status.size for status in found_statuses],
            seals=[status.changed_ns for status in found_statuses],
        )
        _warn_if_resized(self.path, self.original, entries)
        return entries

    def _listed_of(self, wanted: set[str]) -> list[tuple[str, Layout]]:
        """Returns the wanted images that exist, each with its layout."""
        images = map(bytes.decode, self._listed.names)
        rows = zip(images, self._listed.layouts, strict=True)
        return [(name, layout) for name, layout in rows if name in wanted]

    def _found(
        self, candidates: Sequence[tuple[str, Layout]]
    ) -> list[tuple[str, str, Status]]:
        """Returns name, path and status of each candidate that exists."""
        paths = [layout.path(name) for name, layout in candidates]
        found = []
        for (name, _), path, result in zip(
            candidates, paths, statuses(paths), strict=True
        ):
            if not isinstance(result, OSError) or result.errno not in NOT_THERE:
                status = with_content(path, result, "an image", _EXTRACT)
                found.append((name, path, status))
        return found

    def read_images(self, entries: Entries) -> Iterator[bytes]:
        ranges = [Range(entry.file, 0, entry.size) for entry in entries]
        with Files(entries.table) as files:
            yield from read_in_order(files, ranges)

    def where(self, entry: Entry) -> str:
        return entry.path

    def damaged(self, entry: Entry, problem: str) -> ArchiveError:
        return ArchiveError(
            entry.path,
            problem,
            f"Extract this image again from {self.original.file_name}",
        )

    @functools.cached_property
    def _listed(self) -> _Listed:
        listed = _Listed([], [], [])
        tops = _list(self._folders)
        for folder, top in zip(self._folders, tops, strict=True):
            self._sort(listed, folder, None, top)
            wnids = [*filter(names.is_wnid, map(os.fsdecode, top.folders))]
            below = [os.path.join(folder, wnid) for wnid in wnids]
            for name in top.links:
                if leads_upwards(path := _path(folder, None, name)):
                    raise ArchiveError(
                        path,
                        "is a link to the folder that contains it, or to one above",
                        "Remove it, or point it to the images",
                    )
            for wnid, contents in zip(wnids, _list(below), strict=True):
                self._sort(listed, folder, wnid, contents)
        return listed

    def _sort(
        self, listed: _Listed, folder: str, wnid: str | None, contents: Folder
    ) -> None:
        """Sorts files into images and others; checks the folder that images are in."""
        for name in contents.folders:
            if names.parse_path(name):
                problem = "is a directory, not an image"
                raise ArchiveError(_path(folder, wnid, name), problem, _EXTRACT)
            if wnid is not None or not names.is_wnid(os.fsdecode(name)):
                listed.others.append(_shown(wnid, name) + "/")
        for name in contents.broken:
            if names.parse_path(name) or names.is_wnid(os.fsdecode(name)):
                path = _path(folder, wnid, name)
                target = dangling_link(epath.Path(path))
                raise ArchiveError(
                    path,
                    f"is a broken link to {target}" if target else "is a broken link",
                    "Point it to the image or folder, or extract it again",
                )
        layout_of = {
            appended: Layout(folder, wnid is not None, appended)
            for appended in (False, True)
        }
        for file_name in contents.files:
            if not (image := names.parse_path(file_name)):
                listed.others.append(_shown(wnid, file_name))
                continue
            if wnid is not None or image.appended:
                _check_wnids(_path(folder, wnid, file_name), image, wnid)
            listed.names.append(image.name)
            listed.layouts.append(layout_of[image.appended is not None])


def _check_wnids(path: str, image: names.ImagePath, folder: str | None) -> None:
    name = image.name.decode()
    if folder is not None and (wnid := names.mismatched_wnid(name, folder)):
        raise ArchiveError(
            path,
            f"is in the folder of {folder}, but the image belongs to {wnid}",
            "Extract the archive again and sort it again; or leave validation images "
            "in one folder, as they extract",
        )
    appended = image.appended.decode() if image.appended is not None else None
    if appended is not None and (wnid := names.mismatched_wnid(name, appended)):
        raise ArchiveError(
            path,
            f"has {appended} appended to its name, but {name} belongs to {wnid}",
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
        raise cannot_list(folders[0], error) from error


def _warn_if_resized(path: epath.Path, original: Original, found: Entries) -> None:
    """Warns of images that seem to have been resized or encoded again.

    Nothing distinguishes such an image from an original. But the average size of many
    is known, and a few images are unlikely to be all shorter than half of it, or all
    longer than twice.
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
            "%s: %s with %s bytes on average, the originals with %s. They seem to have "
            "been resized or encoded again. The dataset will contain them as they are.",
            path,
            counted(len(found), "image"),
            f"{average:,.0f}",
            f"{usual:,.0f}",
        )
