"""Sources that index all their images, and save the index for the next build."""

from __future__ import annotations

import abc
import contextlib
import functools
import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging
from etils import epath

from imagenet2012_subset.output import progress_bar
from imagenet2012_subset.sources.source import Entries, Index, Listing, Source
from imagenet2012_subset.storage.files import FileTable
from imagenet2012_subset.storage.paths import is_local

_FORMAT = 3
_COLUMNS = {"names": "S", "files": "i", "offsets": "i", "sizes": "i", "seals": "i"}


class IndexedSource(Source):
    """A source that indexes all images before looking up any.

    Attributes:
      table: the files that contain them.
    """

    table: FileTable
    _index_folder: epath.Path | None = None

    @functools.cached_property
    def index(self) -> Index:
        """Everything that the source contains, from a saved index if possible.

        Raises:
          ArchiveError: as `listing`.
        """
        if saved := load(self._index_folder, self._index_name, self.table):
            return saved
        index = self._find_images()
        save(self._index_folder, self._index_name, self.table, index)
        return index

    @abc.abstractmethod
    def _find_images(self) -> Index:
        """Finds everything that the source contains; raises as `listing`."""

    @property
    def _index_name(self) -> epath.Path:
        return self.path

    def listing(self) -> Listing:
        return self.index.listing

    def look_up(self, names: Sequence[str]) -> Entries:
        return self.index.entries.named(names)

    def _progress(self, what: str) -> Any:
        """Returns a progress bar over the bytes of all files."""
        total = int(self.table.sizes.sum())
        return progress_bar(
            total=total, desc=what, unit="B", unit_scale=True, leave=False
        )


def index_folder_in(download_dir: epath.Path) -> epath.Path:
    """Returns the folder in which indices are saved."""
    return download_dir / "imagenet2012_subset"


def index_path(folder: epath.Path, archive: epath.Path) -> epath.Path:
    """Returns where the index of the archive at this path is saved, below `folder`."""
    absolute = archive.resolve() if is_local(archive) else archive
    digest = hashlib.sha256(os.fsencode(absolute)).hexdigest()[:12]
    return folder / f"{archive.name}.{digest}.index.npz"


def save(
    folder: epath.Path | None, archive: epath.Path, table: FileTable, index: Index
) -> None:
    """Writes an index as a NumPy `.npz` without pickle, and replaces an older one.

    A folder that cannot be written to is not an error: the next build walks the archive
    again.

    Args:
      folder: below which indices are saved; None saves nothing.
      archive: the archive, or the folder of its parts.
      table: its files.
      index: what they contain.
    """
    if folder is None:
        return
    path = index_path(folder, archive)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as output:
            # Files in a bucket do not support seeking while writing.
            whole = output if is_local(temporary) else io.BytesIO()
            np.savez(
                whole,
                format=np.int64(_FORMAT),
                file_sizes=table.sizes,
                file_changed_ns=table.changed_ns,
                num_others=np.int64(index.num_others),
                others=_encoded(index.others),
                remarks=_encoded(index.remarks),
                **{name: getattr(index.entries, name) for name in _COLUMNS},
            )
            if isinstance(whole, io.BytesIO):
                output.write(whole.getvalue())
        temporary.replace(path)
    except Exception as error:  # In a bucket, TensorFlow raises its own errors.
        logging.warning("The index %s could not be saved: %s", path, error)
        with contextlib.suppress(Exception):
            temporary.unlink()


def load(
    folder: epath.Path | None, archive: epath.Path, table: FileTable
) -> Index | None:
    """Reads the index of an archive.

    Returns:
      What the archive contains; None if there is no index, or it is damaged or does not
      belong to these versions of the files.
    """
    if folder is None or not (path := index_path(folder, archive)).exists():
        return None
    try:
        with path.open("rb") as source:
            # Verify the checksums before allocating memory for any array.
            if zipfile.ZipFile(source).testzip() is not None:
                return None
            source.seek(0)
            with np.load(source, allow_pickle=False) as arrays:
                return _index(dict(arrays), table)
    except Exception as error:  # Damage can cause any kind of error.
        logging.warning("The index %s is damaged and will be rebuilt: %s", path, error)
        return None


def _encoded(texts: tuple[str, ...]) -> np.ndarray:
    return np.array([text.encode(errors="replace") for text in texts], np.bytes_)


def _decoded(array: np.ndarray) -> tuple[str, ...]:
    return tuple(text.decode(errors="replace") for text in array.tolist())


def _index(arrays: dict[str, np.ndarray], table: FileTable) -> Index | None:
    if int(arrays["format"]) != _FORMAT:
        return None
    saved = FileTable(table.paths, arrays["file_sizes"], arrays["file_changed_ns"])
    if not saved.same_versions(table):
        return None
    columns = {name: arrays[name] for name in _COLUMNS}
    for name, kind in _COLUMNS.items():
        column = columns[name]
        if column.dtype.kind != kind or column.shape != columns["names"].shape:
            raise ValueError(f"{name} has dtype {column.dtype}, shape {column.shape}")
    files, offsets, sizes = (columns[name] for name in ("files", "offsets", "sizes"))
    inside = (files >= 0) & (files < len(table))
    ends = table.sizes[np.where(inside, files, 0)]
    inside &= (offsets >= 0) & (offsets <= ends)
    inside &= (sizes >= 0) & (sizes <= ends - offsets)
    if not inside.all():
        raise ValueError("an image is outside its file")
    return Index(
        Entries(table, **columns),
        int(arrays["num_others"]),
        _decoded(arrays["others"]),
        _decoded(arrays["remarks"]),
    )
