"""Plans the order, the record sizes and the shards of each split.

Reads no image: `Images.stored_sizes` knows how long each will be.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow_datasets as tfds

from imagenet2012_subset.errors import WriteError, counted
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.sources.source import Entries, Source, decoded
from imagenet2012_subset.tfds_internals import (
    Example,
    Hasher,
    ShardConfig,
    ShardedFileTemplate,
    get_shard_boundaries,
)

_MAX_POWER_OF_TWO = 1024


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """Everything that determines a shard's bytes; can be pickled.

    Attributes:
      split: the split's name, such as `train`.
      path: the path of the shard.
      source: reads its images.
      entries: these images, in the order of the records.
      record_sizes: int64, shape (n,): the length of each record in bytes.
    """

    split: str
    path: str
    source: Source
    entries: Entries
    record_sizes: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """The planned shards of a split.

    Attributes:
      name: of the split, such as `train`.
      source: reads its images.
      entries: all images, in the order of the records.
      record_sizes: int64, shape (n,): the length of each record in bytes.
      shard_ends: for each shard the number of images up to its last.
      template: the template of the shards' file names.
    """

    name: str
    source: Source
    entries: Entries
    record_sizes: npt.NDArray[np.int64]
    shard_ends: tuple[int, ...]
    template: ShardedFileTemplate

    @property
    def num_shards(self) -> int:
        """The number of shards."""
        return len(self.shard_ends)

    @property
    def shard_lengths(self) -> list[int]:
        """The number of examples in each shard."""
        return np.diff(self.shard_ends, prepend=0).tolist()

    @property
    def num_bytes(self) -> int:
        """The total length of all records in bytes, without the framing of files."""
        return int(self.record_sizes.sum())

    @property
    def split_info(self) -> tfds.core.SplitInfo:
        """What TFDS records of the split."""
        return tfds.core.SplitInfo(
            name=self.name,
            shard_lengths=self.shard_lengths,
            num_bytes=self.num_bytes,
            filename_template=self.template,
        )

    @property
    def shards(self) -> list[ShardPlan]:
        """The plans of all shards, in order."""
        starts = (0, *self.shard_ends[:-1])
        return [
            ShardPlan(
                split=self.name,
                path=os.fspath(
                    self.template.sharded_filepath(
                        shard_index=number, num_shards=self.num_shards
                    )
                ),
                source=self.source,
                entries=self.entries.take(np.arange(start, end)),
                record_sizes=self.record_sizes[start:end],
            )
            for number, (start, end) in enumerate(
                zip(starts, self.shard_ends, strict=True)
            )
        ]


def summary(splits: Sequence[SplitPlan]) -> str:
    """Returns the total size in words, and the images and shards of each split."""
    size = tfds.core.utils.Size(sum(split.num_bytes for split in splits))
    each = [
        f"{split.name}: {counted(len(split.entries), 'image')} in "
        f"{counted(split.num_shards, 'shard')}"
        for split in splits
    ]
    return f"{size} ({'; '.join(each)})"


def plan_split(
    name: str,
    source: Source,
    entries: Entries,
    stored_sizes: Sequence[int],
    shard_config: ShardConfig,
    template: ShardedFileTemplate,
    *,
    max_examples: int | None = None,
    shuffle: bool = True,
) -> SplitPlan:
    """Plans the shards of a split, in the order in which TFDS would write them.

    TFDS sorts a split by a hash of its name and the example's key, and cuts it into
    shards of nearly equal numbers of examples. The number of shards follows from the
    size of all records.

    Args:
      name: of the split.
      source: reads the images.
      entries: the images, in source order.
      stored_sizes: the length in bytes of each image, as stored in the dataset.
      shard_config: the number of shards, or limits of their size.
      template: the template of the shards' file names.
      max_examples: keep only the first ones, in source order.
      shuffle: False keeps them in source order.

    Raises:
      WriteError: if there are more shards than images, or num_shards is negative.
    """
    image_names = decoded(entries.names)[:max_examples]
    order = list(range(len(image_names)))
    if shuffle:
        hasher = Hasher(name)
        hashes = [hasher.hash_key(image_name) for image_name in image_names]
        order.sort(key=hashes.__getitem__)

    label = {wnid: rank for rank, wnid in enumerate(names.wnids())}
    labels = [label[names.wnid(image_name)] for image_name in image_names]
    sizes = [record_size(image_names[i], labels[i], stored_sizes[i]) for i in order]
    record_sizes = np.array(sizes, np.int64)
    if not 0 <= (shard_config.num_shards or 0) <= len(order):
        images = counted(len(order), f"{name} image")
        raise WriteError(
            "num_shards",
            f"is {shard_config.num_shards:,}, but there are {images}",
            "Pass a number from 1 to the number of images, or omit the option",
        )
    num_shards = _num_shards(shard_config, sum(sizes), len(order))
    ends = get_shard_boundaries(len(order), num_shards)
    return SplitPlan(
        name, source, entries.take(order), record_sizes, tuple(ends), template
    )


def _num_shards(config: ShardConfig, num_bytes: int, num_examples: int) -> int:
    if config.num_shards:
        return config.num_shards

    # TFDS ignores the limits of an instance and uses those of its class. It chooses a
    # power of two as the number of shards, and limits less than a factor of four apart
    # may have none between them.
    class UserLimits(ShardConfig):
        max_shard_size = config.max_shard_size
        min_shard_size = max(1, min(config.min_shard_size, config.max_shard_size // 4))

    with_framing = num_bytes + num_examples * config.overhead
    at_least = -(-with_framing // config.max_shard_size)
    if at_least > _MAX_POWER_OF_TWO:
        # Above this, TFDS searches for a multiple of it, endlessly if there is none.
        return min(num_examples, at_least)
    powers_of_two = UserLimits.calculate_number_shards(num_bytes, num_examples)
    return min(num_examples, max(powers_of_two, at_least))


class RecordSerializer:
    """Serializes examples as `tf.train.Example`, deterministically.

    TFDS's own serializer accepts any features, but copies each image several times, and
    blocks all other threads meanwhile.

    Raises:
      ValueError: if the features are not `file_name`, `image` and `label`.
    """

    def __init__(self, features: tfds.features.FeaturesDict):
        if sorted(features) != ["file_name", "image", "label"]:
            raise ValueError(
                f"records contain file_name, image and label, not {sorted(features)}"
            )
        self._features = features

    def serialize(self, example: dict[str, Any]) -> bytes:
        """Returns the record of one example."""
        encoded = self._features.encode_example(example)
        proto = Example()
        feature = proto.features.feature
        file_name = encoded["file_name"].item().encode()
        feature["file_name"].bytes_list.value.append(file_name)
        feature["image"].bytes_list.value.append(encoded["image"])
        feature["label"].int64_list.value.append(encoded["label"])
        # By default, protobuf writes a map in an order that differs between processes.
        record: bytes = proto.SerializeToString(deterministic=True)
        return record


def record_size(name: str, label: int, image_size: int) -> int:
    """Returns the length of a record in bytes.

    It follows from protobuf's wire format: every level of the messages `Example`,
    `Features`, `Feature`, `BytesList` and `Int64List` is a field with a one-byte tag,
    its length and its content.

    Args:
      name: the image's file name, ASCII.
      label: its class, 0 to 999.
      image_size: the length of the JPEG in bytes.
    """
    return _field(
        _feature("file_name", _field(len(name)))
        + _feature("image", _field(image_size))
        + _feature("label", _field(_varint(label)))
    )


def _feature(key: str, values: int) -> int:
    return _field(_field(len(key)) + _field(_field(values)))


def _field(content: int) -> int:
    return 1 + _varint(content) + content


def _varint(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))
