"""A tar, or a tar of tars, as a source of images that is never extracted."""

from __future__ import annotations

import functools
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence

from etils import epath

from imagenet2012_subset.errors import LEAVE_ALONE, SEE_DAMAGE, ArchiveError, counted
from imagenet2012_subset.imagenet.names import (
    TRAINING,
    VALIDATION,
    Original,
    are_image_names,
    mismatched_wnid,
    parse_path,
)
from imagenet2012_subset.sources.index_cache import IndexedSource, index_path
from imagenet2012_subset.sources.source import Entries, Entry, Index
from imagenet2012_subset.storage.files import Files, FileTable, Range, read_in_order
from imagenet2012_subset.storage.in_step import OnProgress
from imagenet2012_subset.storage.open import find_files, open_files
from imagenet2012_subset.tar.headers import (
    BLOCK,
    CutTarError,
    DamagedTarError,
    Member,
    Tar,
    has_checksum,
    members_ending_at,
    name_field,
    parse_plain,
    size_field,
)
from imagenet2012_subset.tar.walk import Members, TarWalk, walk_nested

_HASH_BYTES = 8 << 20
_MAX_OTHERS = 5

# The first member of each published archive, without folders.
_PUBLISHED_MEMBER = {
    TRAINING: re.compile(rb"n\d{8}\.tar"),
    VALIDATION: re.compile(rb"ILSVRC2012_val_\d{8}\.JPEG"),
}

# Two blocks of zeros end a tar, and `tar` fills the rest of its last record with more.
_MAX_PADDING = tarfile.RECORDSIZE + BLOCK
_STRETCH = 1 << 20
_SAMPLES = 1024
_MAX_REMARKS = 3

# Folders that file managers, network storage and archivers add. Their content is not
# part of ImageNet.
_HIDDEN = re.compile(
    rb"(?:^|/)(?:\.(?!\.?/)[^/]*|__MACOSX|@eaDir|PaxHeaders[^/]*)(?:/|$)"
)

_CHANGED = (
    "The archive changed since its headers were read: touch it so that they are read "
    f"again, {LEAVE_ALONE}"
)
_WRONG_INDEX = (
    "The archive has the size and change time that it had when its headers were read, "
    "so the saved index is wrong: delete {index}, then build again"
)

# `seal(name, header_crc)` is the CRC-32 of the header with the name after it.
seal = zlib.crc32


class TarArchive(IndexedSource):
    """The published archive of a split, or a repacked one."""

    def __init__(
        self,
        path: epath.Path,
        original: Original,
        index_folder: epath.Path | None = None,
    ):
        """Looks up the archive; reads nothing yet.

        Args:
          path: the archive.
          original: the published archive whose images it contains.
          index_folder: where its index is saved for the next build; None saves nothing.

        Raises:
          ArchiveError: if it cannot be looked up.
        """
        self.path = path
        self.original = original
        self.table = self._find_table()
        self._index_folder = index_folder

    def _find_table(self) -> FileTable:
        return find_files([str(self.path)])

    @functools.cached_property
    def files(self) -> Files:
        """The files of the archive."""
        return open_files(self.table)

    @property
    def form(self) -> str:
        return "a tar, not extracted"

    @property
    def remedy(self) -> str:
        return self.original.how_to_get

    @property
    def size(self) -> int | None:
        return self._num_bytes

    @property
    def _num_bytes(self) -> int:
        return int(self.table.sizes.sum())

    def describe(self) -> str:
        remarks = "".join(f"; {remark}" for remark in self.index.remarks)
        return (
            f"it has {self._num_bytes:,} bytes, the original {self.original.size:,}"
            f"{remarks}"
        )

    def _find_images(self) -> Index:
        try:
            with self._progress(f"Locating images in {self.path.name}") as bar:
                return make_index(self.files, self._walk(bar.update))
        except DamagedTarError as error:
            raise self._explained(error) from error

    def _walk(self, on_progress: OnProgress) -> list[TarWalk]:
        whole = Tar("the archive", 0, 0, self._num_bytes)

        def is_tar(name: bytes) -> bool:
            return not is_hidden(name)

        return walk_nested(self.files, whole, is_tar, on_progress)

    def _explained(self, error: DamagedTarError) -> ArchiveError:
        """Returns the error with a remedy that fits this archive."""
        remedy = self._if_damaged
        is_shorter = self._num_bytes < self.original.size
        if isinstance(error, CutTarError) and is_shorter and self._starts_as_published:
            remedy = (
                f"If the download was interrupted at {self._num_bytes:,} of "
                f"{self.original.size:,} bytes, resume it (wget -c or curl -C -); "
                "otherwise download the archive again"
            )
        return ArchiveError(error.path, error.problem, remedy)

    @property
    def _starts_as_published(self) -> bool:
        if self._num_bytes < BLOCK:
            return False
        first = parse_plain(self.files.read(0, 0, BLOCK))
        pattern = _PUBLISHED_MEMBER[self.original]
        return first is not None and pattern.fullmatch(first[0]) is not None

    @property
    def _if_damaged(self) -> str:
        return SEE_DAMAGE

    def read_images(self, entries: Entries) -> Iterator[bytes]:
        # The header is read together with its image, so that a wrong index or a changed
        # archive is noticed at no cost.
        found = list(entries)
        for entry in found:
            if entry.offset < BLOCK:
                raise self._changed_error(entry)
        ranges = [
            Range(entry.file, entry.offset - BLOCK, BLOCK + entry.size)
            for entry in found
        ]
        with open_files(entries.table) as files:
            for entry, data in zip(found, read_in_order(files, ranges), strict=True):
                self._check_header(files, entry, data[:BLOCK])
                yield data[BLOCK:]

    def _check_header(self, files: Files, entry: Entry, header: bytes) -> None:
        name = entry.name.encode()
        is_sealed = seal(name, zlib.crc32(header)) == entry.seal
        # Use the name in the archive, not the one in a saved index.
        in_header = _image_name(name_field(header)), size_field(header)
        if is_sealed and in_header == (name, entry.size):
            return
        if is_sealed and any(
            (member.offset, member.size) == (entry.offset, entry.size)
            and _image_name(member.name or b"") == name
            for member in _members_at(files, entry)
        ):
            return
        raise self._changed_error(entry)

    def _changed_error(self, entry: Entry) -> ArchiveError:
        what = f"{entry.name} at byte {entry.offset:,}"
        if self._index_folder:
            index = index_path(self._index_folder, self.path)
            if index.exists() and self._find_table().same_versions(self.table):
                remedy = _WRONG_INDEX.format(index=index)
                return ArchiveError(entry.path, f"does not contain {what}", remedy)
        return ArchiveError(entry.path, f"no longer contains {what}", _CHANGED)

    def where(self, entry: Entry) -> str:
        file = self.table.paths.index(entry.path)
        name = entry.name.encode()
        for member in _members_at(self.files, entry._replace(file=file)):
            name = member.name or name
        return f"{name.decode(errors='replace')} at byte {entry.offset:,}"

    def sha256(self) -> str | None:
        digest = hashlib.sha256()
        files = self.files.sequential()
        with self._progress(f"sha256 {self.path.name}") as bar:
            for start in range(0, self._num_bytes, _HASH_BYTES):
                size = min(_HASH_BYTES, self._num_bytes - start)
                digest.update(files.read(0, start, size))
                bar.update(size)
        return digest.hexdigest()

    def damaged(self, entry: Entry, problem: str) -> ArchiveError:
        return ArchiveError(
            entry.path,
            f"{entry.name}, {entry.size:,} bytes at byte {entry.offset:,}, {problem}",
            self._if_damaged,
        )


def make_index(files: Files, walks: Sequence[TarWalk]) -> Index:
    """Sorts the members of tars into images and other files.

    Folders are ignored: an archive repacked from extracted images is as good as the
    original.

    Raises:
      ArchiveError: if a wnid was appended to an image's name that it does not have.
    """
    names: list[bytes] = []
    files_of: list[int] = []
    offsets: list[int] = []
    sizes: list[int] = []
    seals: list[int] = []
    others: list[bytes] = []
    for walk in walks:
        file, members = walk.tar.file, walk.members
        if not are_image_names(members.names):
            members = _only_images(files.path(file), members, others)
        names += members.names
        files_of += [file] * len(members.names)
        offsets += members.offsets
        sizes += members.sizes
        seals += map(seal, members.names, members.header_crcs)
    return Index(
        Entries.from_columns(files.table, names, files_of, offsets, sizes, seals),
        len(others),
        tuple(name.decode(errors="replace") for name in others[:_MAX_OTHERS]),
        _remarks(files, walks),
    )


def _only_images(path: str, members: Members, others: list[bytes]) -> Members:
    """Returns the images with their names in ImageNet; adds the rest to `others`."""
    images = Members([], [], [], [])
    for name, *place in zip(*members, strict=True):
        image = parse_path(name)
        if image and image.appended:
            _check_appended(path, image.name.decode(), image.appended.decode())
        if image and not is_hidden(name):
            images.add(image.name, *place)
        else:
            others.append(name)
    return images


def is_hidden(path: bytes) -> bool:
    """Whether a path goes through a hidden folder or names a hidden file."""
    return (b"/" in path or path.startswith(b".")) and bool(_HIDDEN.search(path))


def _remarks(files: Files, walks: Sequence[TarWalk]) -> tuple[str, ...]:
    """Returns remarks that may explain missing members."""
    remarks = []
    if num_links := sum(walk.num_links for walk in walks):
        are_links = "is a link" if num_links == 1 else "are links"
        remarks.append(
            f"{counted(num_links, 'member')} {are_links} without an image (pack what "
            "links point to: tar -h)"
        )
    ends = []
    for walk in walks:
        if walk.zeros_at is not None and (after := _after_end(files, walk)):
            ends.append(f"{walk.tar.name} ends at byte {walk.zeros_at:,}, {after}")
    remarks += ends[:_MAX_REMARKS]
    if len(ends) > _MAX_REMARKS:
        remarks.append(f"{len(ends) - _MAX_REMARKS:,} more tars end early")
    return tuple(remarks)


def _after_end(files: Files, walk: TarWalk) -> str | None:
    """Returns what follows the end of a tar, if it is more than padding."""
    start, end = walk.zeros_at or 0, walk.tar.end
    if end - start <= _MAX_PADDING:
        return None
    near = files.read(walk.tar.file, start, min(_STRETCH, end - start))
    num_zeros = len(near) - len(near.lstrip(b"\0"))
    at = start + num_zeros // BLOCK * BLOCK
    if num_zeros == len(near):
        at = _first_data(files, walk.tar.file, start + num_zeros, end)
    if at >= end:
        return (
            f"and only zeros follow up to byte {end:,}: download tools reserve space "
            "before they write, so the download may not be finished"
        )
    if end - at >= BLOCK and has_checksum(files.read(walk.tar.file, at, BLOCK)):
        return (
            f"but a second archive follows at byte {at:,} (cat does not join tars: use "
            "tar --concatenate, or download the original)"
        )
    return (
        f"but other data follows at byte {at:,}: a part in between may not have been "
        "downloaded"
    )


def _first_data(files: Files, file: int, start: int, end: int) -> int:
    """Returns where the first of a sample of blocks is not zeros; `end` if none is."""
    step = max(BLOCK, (end - start) // _SAMPLES // BLOCK * BLOCK)
    blocks = [Range(file, at, min(BLOCK, end - at)) for at in range(start, end, step)]
    for block, data in zip(blocks, read_in_order(files, blocks), strict=True):
        if data.strip(b"\0"):
            return block.offset
    return end


def _members_at(files: Files, entry: Entry) -> Iterator[Member]:
    whole = Tar("the archive", entry.file, 0, files.size(entry.file))
    return members_ending_at(files, whole, entry.offset - BLOCK)


def _check_appended(path: str, name: str, appended: str) -> None:
    if wnid := mismatched_wnid(name, appended):
        raise ArchiveError(
            path,
            f"contains {name} with {appended} appended to its name, but the image "
            f"belongs to {wnid}",
            "Find out which image it is, or download the original",
        )


def _image_name(path: bytes) -> bytes | None:
    parsed = parse_path(path)
    return parsed.name if parsed else None
