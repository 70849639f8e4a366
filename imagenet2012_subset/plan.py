"""Decides each split's order and shards before an image is read."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from imagenet2012_subset import synsets
from imagenet2012_subset.images import Images
from imagenet2012_subset.members import decoded
from imagenet2012_subset.records import record_size
from imagenet2012_subset.tfds_internals import (
    Hasher,
    ShardConfig,
    get_shard_boundaries,
)

_MAX_POWER_OF_TWO = 1024


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """What a split's shards will be.

    Attributes:
      name: of the split, such as `train`.
      images: in the order of the records.
      record_sizes: int64, shape (n,): the length of each record in bytes.
      shard_ends: for each shard the index of the image after its last.
    """

    name: str
    images: Images
    record_sizes: npt.NDArray[np.int64]
    shard_ends: tuple[int, ...]

    @property
    def num_shards(self) -> int:
        return len(self.shard_ends)

    @property
    def shard_lengths(self) -> list[int]:
        """How many records each shard has."""
        return np.diff(self.shard_ends, prepend=0).tolist()

    @property
    def num_bytes(self) -> int:
        """The length of all records together, in bytes, without a file's framing."""
        return int(self.record_sizes.sum())

    def shard(self, index: int) -> tuple[Images, npt.NDArray[np.int64]]:
        """Returns a shard's images and the lengths of their records in bytes."""
        start = self.shard_ends[index - 1] if index else 0
        of_shard = np.arange(start, self.shard_ends[index])
        return self.images.take(of_shard), self.record_sizes[of_shard]


def plan_split(
    name: str,
    images: Images,
    shard_config: ShardConfig,
    *,
    max_examples: int | None = None,
    shuffle: bool = True,
) -> SplitPlan:
    """Plans a split as TFDS would write it.

    TFDS sorts a split by a hash of its name and the example's key, and cuts it into
    shards of nearly equal numbers of examples; how many shards, it takes from the size
    of all records.

    Args:
      name: of the split.
      images: in archive order.
      shard_config: number of shards, or limits to their size.
      max_examples: keep only this many, the first in archive order.
      shuffle: False leaves them in archive order.
    """
    if max_examples is not None:
        images = images.take(np.arange(min(max_examples, len(images))))
    names = decoded(images.members.names)
    if shuffle:
        hasher = Hasher(name)
        order = sorted(
            range(len(names)), key=[hasher.hash_key(n) for n in names].__getitem__
        )
        images = images.take(order)
        names = [names[i] for i in order]

    label = {wnid: rank for rank, wnid in enumerate(synsets.wnids())}
    record_sizes = np.fromiter(
        (
            record_size(image_name, label[synsets.wnid(image_name)], size)
            for image_name, size in zip(names, images.stored_sizes(), strict=True)
        ),
        np.int64,
        len(names),
    )
    num_shards = _num_shards(shard_config, int(record_sizes.sum()), len(images))
    ends = get_shard_boundaries(len(images), num_shards)
    return SplitPlan(name, images, record_sizes, tuple(ends))


def _num_shards(config: ShardConfig, num_bytes: int, num_examples: int) -> int:
    if config.num_shards:
        return config.num_shards

    # TFDS computes with its class's limits whatever the instance says, so that a
    # user's own would have no effect. Limits less than a factor of four apart leave no
    # power of two between them, which is what TFDS takes for a number of shards.
    class UserLimits(ShardConfig):
        max_shard_size = config.max_shard_size
        min_shard_size = max(1, min(config.min_shard_size, config.max_shard_size // 4))

    with_framing = num_bytes + num_examples * config.overhead
    at_least = -(-with_framing // config.max_shard_size)
    if at_least > _MAX_POWER_OF_TWO:
        # Past this TFDS looks for a multiple of it, endlessly where there is none.
        return min(num_examples, at_least)
    powers_of_two = UserLimits.calculate_number_shards(num_bytes, num_examples)
    return min(num_examples, max(powers_of_two, at_least))
