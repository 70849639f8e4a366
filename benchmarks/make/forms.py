"""Puts archives that `make/archives.py` made into other forms of ImageNet.

Holes in the archives stay holes in extracted images and in tars. TFDS and pyarrow write
zeros, which ArrayRecord and parquet files compress.
"""

from __future__ import annotations

import pathlib
import tarfile

import numpy as np
import pyarrow as pa
import tensorflow_datasets as tfds
from etils import epath
from pyarrow import parquet

from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.sources.tar_archive import TarArchive

_CHUNK = 16 << 10
# The hub's files have 4,400 rows.
_ROWS_IN_GROUP, _ROWS_IN_FILE = 100, 1000


def extract_tree(tars: pathlib.Path, folder: pathlib.Path) -> None:
    """Makes a folder for each synset in `train` and `val`."""
    for archive in _archives(tars):
        split = folder / ("train" if archive.original == TRAINING else "val")
        for entry in archive.index.entries:
            path = split / names.wnid(entry.name) / entry.name
            _copy(entry.path, entry.offset, entry.size, path)


def extract_synset_tars(tars: pathlib.Path, folder: pathlib.Path) -> None:
    """Puts the synsets' tars into `train`, the images into `val`."""
    for original, split in ((TRAINING, "train"), (VALIDATION, "val")):
        path = tars / original.file_name
        with tarfile.open(path) as tar:
            for member in tar:
                target = folder / split / member.name
                _copy(str(path), member.offset_data, member.size, target)


def prepare(tars: pathlib.Path, folder: pathlib.Path, file_format: str) -> None:
    """Has TFDS prepare `imagenet2012`."""
    builder = tfds.builder("imagenet2012", data_dir=folder, file_format=file_format)
    config = tfds.download.DownloadConfig(manual_dir=tars)
    builder.download_and_prepare(download_config=config)


def write_parquet(tars: pathlib.Path, folder: pathlib.Path) -> None:
    """Writes shuffled images as the Hugging Face hub's parquet files store them."""
    folder.mkdir(parents=True, exist_ok=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), ("label", pa.int64())])
    for archive in _archives(tars):
        entries = archive.index.entries
        order = np.random.default_rng(0).permutation(len(entries))
        parts = np.array_split(order, -(-len(order) // _ROWS_IN_FILE))
        for number, part in enumerate(parts):
            chosen = entries.take(part)
            rows = [
                {
                    "image": {"bytes": data, "path": entry.name},
                    "label": names.wnids().index(names.wnid(entry.name)),
                }
                for entry, data in zip(chosen, archive.read_images(chosen), strict=True)
            ]
            name = f"{archive.original.split}-{number:05d}-of-{len(parts):05d}.parquet"
            table = pa.Table.from_pylist(rows, schema)
            parquet.write_table(table, folder / name, row_group_size=_ROWS_IN_GROUP)


def _archives(tars: pathlib.Path) -> list[TarArchive]:
    return [
        TarArchive(epath.Path(tars / original.file_name), original)
        for original in (TRAINING, VALIDATION)
    ]


def _copy(source_path: str, start: int, size: int, path: pathlib.Path) -> None:
    """Copies a part of a file to a separate file, except for its holes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(source_path, "rb") as source, path.open("wb") as target:
        source.seek(start)
        for position in range(0, size, _CHUNK):
            data = source.read(min(_CHUNK, size - position))
            if data.strip(b"\0"):
                target.seek(position)
                target.write(data)
        target.truncate(size)
