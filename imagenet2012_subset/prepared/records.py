"""The records of a prepared dataset, shard by shard, as TFDS reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from imagenet2012_subset.errors import DatasetError, first_line
from imagenet2012_subset.prepared.dataset import PreparedDataset
from imagenet2012_subset.tfds_internals import FileFormat


class Record(NamedTuple):
    """One example.

    Attributes:
      name: its file name.
      image: the encoded image.
      label: its class, 0 to 999 unless the record is damaged.
    """

    name: str
    image: bytes
    label: int


class UnreadableShard(DatasetError):
    """A shard that cannot be read to its end."""


def read_shard(
    dataset: PreparedDataset,
    split: str,
    number: int,
    file_format: FileFormat | None = None,
) -> Iterator[Record]:
    """Yields the records of one shard in order.

    TensorFlow is imported for TFRecord files, but not for ArrayRecord files.

    Args:
      dataset: the dataset.
      split: the name of the split.
      number: the shard's number in the split.
      file_format: the format to read; by default the dataset's default.

    Raises:
      UnreadableShard: if the shard is damaged, cut off or has a different number of
        records than the dataset records.
      WriteError: if TFDS cannot open the dataset.
    """
    builder = dataset.builder(file_format)
    try:
        for example in _examples(builder, split, number):
            name = example["file_name"]
            yield Record(
                name.decode(errors="replace") if isinstance(name, bytes) else name,
                bytes(example["image"]),
                int(example["label"]),
            )
    except Exception as error:  # The error depends on the format.
        raise UnreadableShard(
            dataset.shard_paths(split, file_format)[number],
            f"cannot be read ({first_line(error)})",
            "Build the dataset again",
        ) from error


def _examples(builder: Any, split: str, number: int) -> Any:
    shard = tfds.core.ReadInstruction(split, from_=number, to=number + 1, unit="shard")
    decoders = {"image": tfds.decode.SkipDecoding()}
    if builder.info.file_format == FileFormat.ARRAY_RECORD:
        return builder.as_data_source(split=shard, decoders=decoders)
    # TensorFlow verifies the checksums of TFRecords as it reads them.
    config = tfds.ReadConfig(try_autocache=False)
    dataset = builder.as_dataset(split=shard, decoders=decoders, read_config=config)
    return dataset.as_numpy_iterator()
