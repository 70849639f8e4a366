"""The records of a prepared dataset, shard by shard, as TFDS reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from imagenet2012_subset.errors import first_line
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.tfds_internals import FileFormat

_CHUNK = 256  # Records in memory at a time; some 30 MB.


class Record(NamedTuple):
    """One example.

    Attributes:
      name: its file name.
      image: the bytes of its image, not decoded.
      wnid: the class that its label stands for, or what the label is if it is none.
    """

    name: str
    image: bytes
    wnid: str


class UnreadableShard(Exception):
    """A shard that TFDS cannot read, or not to its end; the text says why."""


def read_shard(
    builder: tfds.core.DatasetBuilder, split: str, number: int
) -> Iterator[list[Record]]:
    """Yields a shard's records, some at a time.

    Raises:
      UnreadableShard: if the shard is damaged, cut off, or has another number of
        records than the dataset says.
    """
    chunk: list[Record] = []
    damage = None
    try:
        for example in _examples(builder, split, number):
            chunk.append(_record(example))
            if len(chunk) == _CHUNK:
                yield chunk
                chunk = []
    except Exception as error:  # What damage raises depends on the format.
        damage = error
    if chunk:
        yield chunk
    if damage:
        raise UnreadableShard(first_line(damage)) from damage


def _examples(
    builder: tfds.core.DatasetBuilder, split: str, number: int
) -> Iterable[dict[str, Any]]:
    shard = tfds.core.ReadInstruction(split, from_=number, to=number + 1, unit="shard")
    decoders = {"image": tfds.decode.SkipDecoding()}
    if builder.info.file_format == FileFormat.ARRAY_RECORD:
        examples: Iterable[dict[str, Any]]
        examples = builder.as_data_source(split=shard, decoders=decoders)
        return examples
    # TensorFlow verifies the checksums of TFRecords as it reads them.
    dataset = builder.as_dataset(
        split=shard,
        decoders=decoders,
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    examples = dataset.as_numpy_iterator()
    return examples


def _record(example: dict[str, Any]) -> Record:
    name, image, label = (example[key] for key in ("file_name", "image", "label"))
    number = int(label)
    wnids = names.wnids()
    wnid = wnids[number] if 0 <= number < len(wnids) else f"label {number}"
    return Record(_text(name), bytes(image), wnid)


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
