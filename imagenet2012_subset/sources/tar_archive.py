"""A tar, or a tar of tars, as a source of images."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence

from etils import epath

from imagenet2012_subset.errors import LEAVE_ALONE, SEE_DAMAGE, ArchiveError
from imagenet2012_subset.imagenet.names import parse_path
from imagenet2012_subset.imagenet.originals import Original
from imagenet2012_subset.sources import index_cache
from imagenet2012_subset.sources.entries import Entries, Entry
from imagenet2012_subset.sources.source import Index, Listing
from imagenet2012_subset.sources.tar_index import index_tar, seal
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.open import open_file
from imagenet2012_subset.storage.paths import absolute
from imagenet2012_subset.storage.queue import Extent
from imagenet2012_subset.tar.headers import (
    BLOCK,
    extended_headers,
    name_field,
    size_field,
)
from imagenet2012_subset.tfds_internals import tqdm

_HASH_BYTES = 8 << 20

_CHANGED = (
    "The archive changed since its headers were read: touch it so that they are read "
    f"again, {LEAVE_ALONE}"
)
_WRONG_INDEX = (
    "The archive is as large and as old as when its headers were read, so what is kept "
    "is wrong: delete {index}, then build again"
)


@dataclasses.dataclass(frozen=True)
class TarOrigin:
    """Opens an archive again, unless it has changed.

    Attributes:
      path: where it is.
      size: its length in bytes.
      mtime_ns: when it was last modified, in nanoseconds since the epoch.
      original: the published archive whose images it has.
      index_folder: where what it holds is kept; None if nowhere.
    """

    path: str
    size: int
    mtime_ns: int
    original: Original
    index_folder: str | None = None

    def open(self) -> TarArchive:
        archive = TarArchive(
            open_file(epath.Path(self.path)),
            self.original,
            epath.Path(self.index_folder) if self.index_folder else None,
        )
        if archive.origin != self:
            raise ArchiveError(
                self.path,
                f"changed while the dataset was being built: it had {self.size:,} "
                f"bytes, and now has {archive.file.size:,}",
                f"Let it be; {LEAVE_ALONE}",
            )
        return archive


class TarArchive:
    """A `Source` that reads an archive as it is, without extracting anything."""

    def __init__(
        self,
        file: File,
        original: Original,
        index_folder: epath.Path | None = None,
    ):
        """Takes an opened archive.

        Args:
          file: the archive.
          original: the published archive whose images it has.
          index_folder: where what it holds is kept for the next time; None keeps
            nothing.
        """
        self.path = file.path
        self.file = file
        self.original = original
        self._index_folder = index_folder

    @property
    def size(self) -> int | None:
        return self.file.size

    @property
    def origin(self) -> TarOrigin:
        return TarOrigin(
            absolute(self.path),
            self.file.size,
            self.file.mtime_ns,
            self.original,
            absolute(self._index_folder) if self._index_folder else None,
        )

    @property
    def form(self) -> str:
        return "a tar, not extracted"

    @property
    def remedy(self) -> str:
        return self.original.how_to_get

    def describe(self) -> str:
        return f"it has {self.file.size:,} bytes, the original {self.original.size:,}"

    def listing(self) -> Listing:
        return self.index().listing

    def index(self) -> Index:
        """Returns all that is there and where, which takes a while the first time.

        Raises:
          ArchiveError: as `listing`.
        """
        return self._index

    @functools.cached_property
    def _index(self) -> Index:
        if kept := index_cache.load(self._index_folder, self.file):
            return kept
        with tqdm(
            total=self.file.size,
            desc=f"Locating images in {self.path.name}",
            unit="B",
            unit_scale=True,
            leave=False,
        ) as bar:
            found = self._find(bar.update)
        index_cache.save(self._index_folder, self.file, found)
        return found

    def _find(self, on_progress: Callable[[int], None]) -> Index:
        return index_tar(self.file, on_progress=on_progress)

    def look_up(self, names: Sequence[str]) -> Entries:
        entries = self.index().entries
        wanted = {name.encode("ascii") for name in names}
        return entries.take(
            [i for i, name in enumerate(entries.names.tolist()) if name in wanted]
        )

    def read_in_order(self, entries: Entries) -> Iterator[memoryview]:
        # The header is read again along with its image: a kept index that does not
        # fit, or an archive that changes meanwhile, is noticed at no cost.
        found = list(entries)
        extents = [Extent(entry.offset - BLOCK, BLOCK + entry.size) for entry in found]
        for entry, data in zip(found, read_in_order(self.file, extents), strict=True):
            self._check_header(entry, data[:BLOCK])
            yield data[BLOCK:]

    def _check_header(self, entry: Entry, header: memoryview) -> None:
        name = entry.name.encode()
        sealed = seal(name, zlib.crc32(header)) == entry.seal
        # Whatever a kept index says, the name in the archive is the image's.
        said = _image_name(name_field(header)), size_field(header)
        if sealed and (said == (name, entry.size) or self._is_extended(entry)):
            return
        raise self._is_another(entry)

    def _is_extended(self, entry: Entry) -> bool:
        """Whether headers before the last one say what the entry does."""
        return any(
            header.offset == entry.offset
            and header.size == entry.size
            and _image_name(header.name or b"") == entry.name.encode()
            for header in extended_headers(self.file, entry.offset - BLOCK)
        )

    def _is_another(self, entry: Entry) -> ArchiveError:
        path, offset, _ = self.file.place(entry.offset)
        what = f"{entry.name} at byte {offset:,}"
        if self._index_folder:
            index = index_cache.index_path(self._index_folder, self.path)
            now = open_file(self.path)
            unchanged = (now.size, now.mtime_ns) == (self.size, self.file.mtime_ns)
            if unchanged and index.exists():
                remedy = _WRONG_INDEX.format(index=index)
                return ArchiveError(path, f"does not have {what}", remedy)
        return ArchiveError(path, f"no longer has {what}", _CHANGED)

    def sha256(self) -> str | None:
        digest = hashlib.sha256()
        with tqdm(
            total=self.file.size,
            desc=f"sha256 {self.path.name}",
            unit="B",
            unit_scale=True,
            leave=False,
        ) as bar:
            size = self.file.size
            for start in range(0, size, _HASH_BYTES):
                stretch = self.file.read(start, min(_HASH_BYTES, size - start))
                digest.update(stretch)
                bar.update(len(stretch))
        return digest.hexdigest()

    def damaged(self, entry: Entry, problem: str) -> ArchiveError:
        path, offset, _ = self.file.place(entry.offset)
        return ArchiveError(
            path,
            f"{entry.name}, {entry.size:,} bytes at byte {offset:,}, {problem}",
            SEE_DAMAGE,
        )


def _image_name(path: bytes) -> bytes | None:
    said = parse_path(path)
    return said.name if said else None
