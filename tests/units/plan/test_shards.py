"""The order of a split's images, the length of its records, and its shards."""

import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow_datasets as tfds
from etils import epath
from hypothesis import example, given, settings, strategies as st
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.imagenet import jpeg, names
from imagenet2012_subset.plan.shards import (
    RecordSerializer,
    SplitPlan,
    plan_split,
    record_size,
    summary,
)
from imagenet2012_subset.sources.source import Entries, Entry
from imagenet2012_subset.storage.files import FileTable
from imagenet2012_subset.tfds_internals import ShardConfig, ShardedFileTemplate
from tests.shared import archives
from tests.shared.tfds_builder import features_of_the_dataset

# What TFDS's writers put around each record.
FRAME = 16

training_names = st.builds(
    "{}_{}.JPEG".format, st.sampled_from(names.wnids()), st.integers(0, 99_999)
)
validation_names = st.integers(1, 50_000).map(archives.validation_name)
unconverted_names = training_names.filter(lambda name: not jpeg.is_converted(name))
image_lists = st.lists(
    st.tuples(unconverted_names | validation_names, st.integers(0, 10**6)),
    min_size=1,
    max_size=60,
    unique_by=lambda row: row[0],
)


TEMPLATE = ShardedFileTemplate(
    data_dir=epath.Path("data"),
    dataset_name="imagenet2012_subset",
    split="train",
    filetype_suffix="tfrecord",
)


def entries_of(rows: Sequence[tuple[str, int]]) -> Entries:
    """Entries that no file has: a plan must not need one."""
    entries = [
        (name.encode(), 0, 512 + 10**6 * i, size, i)
        for i, (name, size) in enumerate(rows)
    ]
    table = FileTable(("no such file",), np.array([1 << 40]), np.array([1]))
    return Entries.from_columns(table, *zip(*entries, strict=True))


def many(num_images: int, image_size: int) -> Entries:
    """Entries whose records are all of the same length."""
    return entries_of(
        [(f"n01440764_{1000 + i}.JPEG", image_size) for i in range(num_images)]
    )


def plan_of(
    split: str, entries: Entries, config: ShardConfig, **options: object
) -> SplitPlan:
    return plan_split(
        split, None, entries, entries.sizes.tolist(), config, TEMPLATE, **options
    )


def shard_bytes(plan: SplitPlan) -> list[int]:
    """How many bytes TFDS counts for each shard."""
    sizes_of_shards = [shard.record_sizes for shard in plan.shards]
    return [int(sizes.sum()) + FRAME * len(sizes) for sizes in sizes_of_shards]


@given(image_lists, st.sampled_from(["train", "validation", "ünï"]))
def test_order_is_by_md5_of_split_and_file_name(rows, split):
    def md5(entry: Entry) -> bytes:
        return hashlib.md5((split + entry.name).encode()).digest()

    entries = entries_of(rows)
    plan = plan_of(split, entries, ShardConfig())
    assert list(plan.entries) == sorted(entries, key=md5)
    plan = plan_of(split, entries, ShardConfig(), shuffle=False)
    assert list(plan.entries) == list(entries)


@given(image_lists, st.booleans())
def test_the_plan_has_the_size_of_each_record(rows, shuffle):
    plan = plan_of("train", entries_of(rows), ShardConfig(), shuffle=shuffle)
    label = names.wnids().index
    assert plan.record_sizes.tolist() == [
        record_size(m.name, label(names.wnid(m.name)), m.size) for m in plan.entries
    ]
    assert plan.num_bytes == sum(plan.record_sizes.tolist())


@given(image_lists, st.integers(1, 80), st.booleans())
def test_max_examples_keeps_the_first_in_archive_order(rows, max_examples, shuffle):
    options = {"max_examples": max_examples, "shuffle": shuffle}
    plan = plan_of("train", entries_of(rows), ShardConfig(), **options)
    first = entries_of(rows[:max_examples])
    alone = plan_of("train", first, ShardConfig(), shuffle=shuffle)
    assert list(plan.entries) == list(alone.entries)
    assert plan.shard_ends == alone.shard_ends


@given(image_lists, st.data())
def test_shards_are_consecutive_and_nearly_equal(rows, draw):
    num_shards = draw.draw(st.integers(1, len(rows)))
    plan = plan_of("train", entries_of(rows), ShardConfig(num_shards=num_shards))
    assert plan.num_shards == num_shards == len(plan.shard_lengths)
    assert sum(plan.shard_lengths) == len(rows)
    assert max(plan.shard_lengths) - min(plan.shard_lengths) <= 1
    shards = plan.shards
    assert [len(shard.entries) for shard in shards] == plan.shard_lengths
    assert [entry for shard in shards for entry in shard.entries] == list(plan.entries)
    assert np.concatenate([shard.record_sizes for shard in shards]).tolist() == (
        plan.record_sizes.tolist()
    )
    assert [pathlib.PurePath(shard.path).name for shard in shards] == [
        f"imagenet2012_subset-train.tfrecord-{number:05d}-of-{num_shards:05d}"
        for number in range(num_shards)
    ]
    assert {shard.split for shard in shards} == {"train"}


def test_shard_lengths_are_those_of_a_published_dataset():
    # 12,811 examples in 16 shards, as the catalog's imagenet2012_subset/1pct has them.
    plan = plan_of("train", many(12_811, 110_000), ShardConfig(num_shards=16))
    assert plan.shard_lengths[:4] == [801, 800, 801, 801]
    assert sum(plan.shard_lengths) == 12_811


sizes_of_datasets = st.one_of(
    st.tuples(st.integers(1, 3000), st.integers(0, 10**7)),
    st.tuples(st.sampled_from([1, 1023, 1024, 1025, 2048]), st.integers(0, 5 * 10**8)),
)


@settings(max_examples=60)
@given(sizes_of_datasets)
def test_the_default_number_of_shards_is_that_of_tfds(shape):
    num_images, image_size = shape
    plan = plan_of("train", many(num_images, image_size), ShardConfig())
    expected = ShardConfig().get_number_shards(plan.num_bytes, num_images)
    assert plan.num_shards == expected


@settings(max_examples=200)
@given(
    st.integers(1, 600),
    st.integers(0, 2000),
    st.integers(1, 100),
    st.integers(1, 1 << 30),
)
# Framing makes the difference, and there are too few images for a power of two.
@example(num_images=3, image_size=10, records_in_shard=1, min_shard_size=1)
@example(num_images=300, image_size=0, records_in_shard=3, min_shard_size=1 << 30)
def test_no_shard_is_longer_than_the_user_allows(
    num_images, image_size, records_in_shard, min_shard_size
):
    entries = many(num_images, image_size)
    record = int(plan_of("train", entries, ShardConfig()).record_sizes[0]) + FRAME
    config = ShardConfig(
        min_shard_size=min_shard_size, max_shard_size=records_in_shard * record
    )
    plan = plan_of("train", entries, config)
    assert max(shard_bytes(plan)) <= config.max_shard_size


def test_a_minimum_near_the_maximum_counts_as_a_quarter_of_it():
    record = int(plan_of("train", many(1, 1000), ShardConfig()).record_sizes[0]) + FRAME
    limits = {"min_shard_size": 10 * record, "max_shard_size": 10 * record}
    # 33 records take at least 4 shards, and at most 13 of a quarter of the maximum.
    plan = plan_of("train", many(33, 1000), ShardConfig(**limits))
    assert plan.num_shards == 8


@given(st.integers(1, 300), st.integers(0, 2000), st.integers(1, 5000))
def test_a_limit_that_no_image_fits_gives_each_its_own_shard(
    num_images, image_size, max_shard_size
):
    entries = many(num_images, image_size)
    plan = plan_of("train", entries, ShardConfig(max_shard_size=max_shard_size))
    assert 1 <= plan.num_shards <= num_images
    if int(plan.record_sizes[0]) + FRAME > max_shard_size:
        assert plan.shard_lengths == [1] * num_images


@pytest.mark.parametrize("num_shards", [4, -1])
def test_an_impossible_number_of_shards_is_an_error(num_shards):
    with pytest.raises(
        WriteError, match=f"num_shards: is {num_shards}, but there are 3 train images"
    ):
        plan_of("train", many(3, 10), ShardConfig(num_shards=num_shards))
    assert plan_of("train", many(3, 10), ShardConfig(num_shards=3)).num_shards == 3


def test_the_summary_adds_up_all_splits_and_counts_images_and_shards_of_each():
    training = plan_of("train", many(3, 1024 * 1024), ShardConfig(num_shards=2))
    validation = plan_of("validation", many(1, 1024 * 1024), ShardConfig())
    assert summary([training, validation]) == (
        "4.00 MiB (train: 3 images in 2 shards; validation: 1 image in 1 shard)"
    )


# The length of a record, computed from the wire format, is that of TFDS's record.

# Where a length takes one more byte, at each level of the record.
EDGES = [0, 1, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21]
near_edges = st.builds(
    lambda edge, below: max(0, edge - below), st.sampled_from(EDGES), st.integers(0, 40)
)
file_names = st.text(st.characters(max_codepoint=127), max_size=150) | st.just(
    "ILSVRC2012_val_00000001.JPEG"
)
labels = st.integers(0, 999) | st.sampled_from([0, 127, 128, 999])


@pytest.fixture(scope="module")
def features() -> tfds.features.FeaturesDict:
    return features_of_the_dataset()


@pytest.fixture(scope="module")
def serializer(features) -> RecordSerializer:
    return RecordSerializer(features)


def _example(name: str, label: int, image: bytes) -> dict[str, object]:
    return {"file_name": name, "image": image, "label": names.wnids()[label]}


@example(name="", label=0, size=0)
@given(file_names, labels, st.integers(0, 300_000) | near_edges)
def test_the_length_follows_from_name_label_and_size(serializer, name, label, size):
    record = serializer.serialize(_example(name, label, bytes(size)))
    assert record_size(name, label, size) == len(record)


@pytest.mark.parametrize("edge", EDGES[1:])
@pytest.mark.parametrize("label", [0, 127, 128, 999])
def test_the_length_is_right_on_both_sides_of_each_step(serializer, edge, label):
    # The levels around the image add a few bytes each, so the step is a bit below.
    for size in range(max(0, edge - 60), edge + 2, 1 if edge < 2**20 else 7):
        record = serializer.serialize(_example("n01440764_1.JPEG", label, bytes(size)))
        assert record_size("n01440764_1.JPEG", label, size) == len(record), size


@given(file_names, labels, st.binary(max_size=300))
def test_records_are_those_of_the_serializer_of_tfds(
    features, serializer, name, label, image
):
    example = _example(name, label, image)
    theirs = ExampleSerializer(features.get_serialized_info()).get_tf_example(
        features.encode_example(example)
    )
    assert serializer.serialize(example) == theirs.SerializeToString(deterministic=True)


def test_other_features_are_refused():
    features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
    with pytest.raises(ValueError, match="not \\['image'\\]"):
        RecordSerializer(features)
