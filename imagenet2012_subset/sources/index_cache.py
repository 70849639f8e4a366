"""Keeps what an archive holds, so that its headers are read once and not again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
import zipfile

import numpy as np
from absl import logging
from etils import epath

from imagenet2012_subset.sources.entries import Entries
from imagenet2012_subset.sources.source import Index
from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.paths import is_local
from imagenet2012_subset.tar.headers import BLOCK

_FORMAT = 2
_COLUMNS = {
    "names": "S",
    "offsets": "i",
    "sizes": "i",
    "seals": "i",
}


def folder_in(download_dir: epath.Path) -> epath.Path:
    """Returns the folder below which indices are kept."""
    return download_dir / "imagenet2012_subset"


def index_path(folder: epath.Path, archive: epath.Path) -> epath.Path:
    """Returns where the index of the archive at this path is kept, below `folder`."""
    # A URL is the same from any folder.
    whole = archive.resolve() if is_local(archive) else archive
    whose = hashlib.sha256(os.fsencode(whole)).hexdigest()[:12]
    return folder / f"{archive.name}.{whose}.index.npz"


def save(folder: epath.Path | None, file: File, index: Index) -> None:
    """Writes an index: a NumPy `.npz` with an array for each fact, no pickle.

    It replaces an older one in a single step. A folder that cannot be written to is no
    reason to fail: the next build reads the headers again.
    """
    if folder is None:
        return
    path = index_path(folder, file.path)
    half_written = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half_written.open("wb") as output:
            np.savez(
                output,
                format=np.int64(_FORMAT),
                archive_size=np.int64(file.size),
                archive_mtime_ns=np.int64(file.mtime_ns),
                num_others=np.int64(index.num_others),
                others=np.array([name.encode() for name in index.others], np.bytes_),
                names=index.entries.names,
                offsets=index.entries.offsets,
                sizes=index.entries.sizes,
                seals=index.entries.seals,
            )
        half_written.replace(path)
    except OSError as error:
        logging.warning("The index %s could not be kept: %s", path, error)
        with contextlib.suppress(OSError):
            half_written.unlink()


def load(folder: epath.Path | None, file: File) -> Index | None:
    """Reads the index of an archive.

    Returns:
      What the archive holds; None where there is no index, or one that is damaged or
      of an archive with another size or time of modification.
    """
    if folder is None or not (path := index_path(folder, file.path)).exists():
        return None
    try:
        with path.open("rb") as source:
            # Each array's checksum, before any of them says how much memory it takes.
            if zipfile.ZipFile(source).testzip() is not None:
                return None
            source.seek(0)
            with np.load(source, allow_pickle=False) as arrays:
                return _index(dict(arrays), file)
    except Exception as error:  # Damage shows itself as any kind of error.
        logging.warning("The index %s is damaged and is made again: %s", path, error)
        return None


def _index(arrays: dict[str, np.ndarray], file: File) -> Index | None:
    key = tuple(
        int(arrays[name]) for name in ("format", "archive_size", "archive_mtime_ns")
    )
    if key != (_FORMAT, file.size, file.mtime_ns):
        return None
    columns = {name: arrays[name] for name in _COLUMNS}
    for name, kind in _COLUMNS.items():
        column = columns[name]
        if column.dtype.kind != kind or column.shape != columns["names"].shape:
            raise ValueError(f"{name} has dtype {column.dtype}, shape {column.shape}")
    offsets, sizes = columns["offsets"], columns["sizes"]
    inside = (offsets >= BLOCK) & (offsets <= file.size)
    inside &= (sizes >= 0) & (sizes <= file.size - offsets)
    if not inside.all():
        raise ValueError("an image lies outside the archive")
    others = tuple(name.decode(errors="replace") for name in arrays["others"].tolist())
    entries = Entries(files=np.zeros(len(offsets), np.int32), **columns)
    return Index(entries, int(arrays["num_others"]), others)
