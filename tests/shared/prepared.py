"""Datasets called `imagenet2012`: prepared by TFDS, or written by hand to any shape."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import google_crc32c
import tensorflow_datasets as tfds
from array_record.python import array_record_module

from imagenet2012_subset.imagenet import names
from tests.shared import archives, tfds_builder

FORMATS = ("tfrecord", "array_record")
ORDER = ("image", "file_name", "label")

Image = tuple[str, bytes]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The same images as tars and as TFDS's own builder prepares them.

    Attributes:
      manual_dir: the folder of the tars.
      data_dirs: by file format, the data_dir with `imagenet2012`.
      subset_list: lists half of the training images.
      num_validation: the number of validation images.
    """

    manual_dir: pathlib.Path
    data_dirs: Mapping[str, pathlib.Path]
    subset_list: pathlib.Path
    num_validation: int

    def version(self, file_format: str) -> pathlib.Path:
        return self.data_dirs[file_format] / "imagenet2012" / "5.1.0"


def prepare(
    folder: pathlib.Path,
    training: Mapping[str, Sequence[Image]],
    validation: Sequence[Image],
    listed: Sequence[str],
) -> Prepared:
    """Writes the tars, and has TFDS prepare them in each format."""
    manual_dir = archives.write_manual_dir(
        folder / "manual",
        archives.training_tar(training),
        archives.tar_bytes(validation),
    )
    subset_list = folder / "subset.txt"
    subset_list.write_text("\n".join(listed) + "\n")
    data_dirs = {one: folder / one for one in FORMATS}
    for file_format, data_dir in data_dirs.items():
        tfds_builder.build_imagenet(manual_dir, data_dir, file_format, num_shards=3)
    return Prepared(manual_dir, data_dirs, subset_list, len(validation))


def write_version(
    folder: pathlib.Path,
    split: str,
    shards: Sequence[Sequence[bytes]],
    *,
    file_format: str = "tfrecord",
    **info: Any,
) -> pathlib.Path:
    """Writes a dataset with one split, of these records; keeps other splits."""
    folder.mkdir(parents=True, exist_ok=True)
    info_path = folder / "dataset_info.json"
    known = read_json(info_path)["splits"] if info_path.exists() else []
    content = {
        "name": "imagenet2012",
        "version": "5.1.0",
        "fileFormat": file_format,
        "splits": [
            *(one for one in known if one["name"] != split),
            {"name": split, "shardLengths": [str(len(one)) for one in shards]},
        ],
        **info,
    }
    info_path.write_text(json.dumps(content))
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(num_classes=1000),
            "file_name": tfds.features.Text(),
        }
    )
    (folder / "features.json").write_text(json.dumps(features.to_json()))
    for number, records in enumerate(shards):
        path = shard_path(folder, split, number, len(shards), file_format)
        if file_format == "tfrecord":
            path.write_bytes(b"".join(map(framed, records)))
        else:
            writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
            for one in records:
                writer.write(one)
            writer.close()
    return folder


def shard_path(
    folder: pathlib.Path, split: str, number: int, count: int, file_format: str
) -> pathlib.Path:
    return folder / f"imagenet2012-{split}.{file_format}-{number:05}-of-{count:05}"


def record(
    name: str,
    image: bytes,
    label: int | None = None,
    order: Sequence[str] = ORDER,
) -> bytes:
    """Returns a serialized `tf.train.Example` with its map in this order."""
    if label is None:
        label = names.wnids().index(names.wnid(name))
    features = {
        "image": field(1, field(1, image)),
        "file_name": field(1, field(1, name.encode())),
        "label": field(3, field(1, varint(label))),
    }
    entries = (
        field(1, field(1, key.encode()) + field(2, features[key])) for key in order
    )
    return field(1, b"".join(entries))


def framed(data: bytes) -> bytes:
    """Returns a record as TFRecord frames it."""
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)


def checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def field(number: int, content: bytes) -> bytes:
    """Returns a field of a protobuf message that has a length."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def change_json(path: pathlib.Path, **values: Any) -> None:
    """Changes values of a JSON object in a file, which is created if missing."""
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | values))


def read_json(path: pathlib.Path) -> Any:
    """Returns the content of a JSON file."""
    return json.loads(path.read_text())
