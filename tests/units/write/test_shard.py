"""A shard's plan determines its bytes, wherever it is written."""

from __future__ import annotations

import dataclasses
import pathlib
import pickle

import pytest
from etils import epath

from imagenet2012_subset.errors import ArchiveError, WriteError
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.plan.shards import RecordSerializer, ShardPlan, plan_split
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.storage.files import Files
from imagenet2012_subset.subset.select import select_training
from imagenet2012_subset.tfds_internals import (
    ExampleWriter,
    FileFormat,
    ShardConfig,
    ShardedFileTemplate,
)
from imagenet2012_subset.write.shard import ShardWriter
from tests.shared import archives, faults
from tests.shared.tfds_builder import features_of_the_dataset

NUM_SHARDS = 3


def generate_examples(images: Images):
    for image in images:
        example = {"file_name": image.name, "image": image.data, "label": image.wnid}
        yield image.name, example


def new_writer() -> ShardWriter:
    serializer = RecordSerializer(features_of_the_dataset())
    example_writer = ExampleWriter(file_format=FileFormat.TFRECORD)
    return ShardWriter(generate_examples, serializer, example_writer)


@pytest.fixture
def shards(small_data, tmp_path) -> list[ShardPlan]:
    """The plans of the small data's training images."""
    source = find_source(epath.Path(small_data.manual_dir), TRAINING)
    images = select_training(source, small_data.listed)
    template = ShardedFileTemplate(
        data_dir=epath.Path(tmp_path / "written"),
        dataset_name="imagenet2012_subset",
        split="train",
        filetype_suffix="tfrecord",
    )
    (tmp_path / "written").mkdir()
    config = ShardConfig(num_shards=NUM_SHARDS)
    sizes = images.stored_sizes()
    return plan_split("train", source, images.entries, sizes, config, template).shards


def test_a_pickled_plan_gives_the_shards_of_a_build(build, shards):
    for shard in shards:
        pickled = pickle.dumps(shard)
        assert len(pickled) < 4000  # It contains no image.
        new_writer().write(pickle.loads(pickled))
    built = faults.shards(build(num_shards=NUM_SHARDS))
    written = {
        pathlib.Path(shard.path).name: pathlib.Path(shard.path).read_bytes()
        for shard in shards
    }
    assert written == {name: built[name] for name in built if "train" in name}


def test_a_shard_can_be_written_again(shards):
    writer = new_writer()
    path = pathlib.Path(shards[0].path)
    written = []
    for _ in range(2):
        writer.write(shards[0])
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert list(path.parent.iterdir()) == [path]


def test_an_archive_with_other_images_is_an_error(shards, small_data, monkeypatch):
    wnid, images = next(iter(small_data.training.items()))
    small_data.training[wnid] = [
        (name, archives.jpeg(99 + i)) for i, (name, _) in enumerate(reversed(images))
    ]
    small_data.write()
    monkeypatch.setattr(Files, "_change", lambda *_: None)
    shard = next(one for one in shards if one.entries[0].name.startswith(wnid))
    with pytest.raises(ArchiveError, match=f"no longer contains {wnid}"):
        new_writer().write(shard)


def test_each_image_is_reported_and_an_error_ends_the_shard(shards):
    shard = shards[0]
    reported: dict[str, bytes] = {}
    new_writer().write(shard, reported.__setitem__)
    images = Images(shard.source, shard.entries)
    assert reported == {image.name: image.data for image in images}

    class Enough(Exception):
        pass

    def stop(name, data):
        raise Enough

    with pytest.raises(Enough):
        new_writer().write(shard, stop)


def test_a_record_of_another_length_than_planned_is_an_error(shards):
    sizes = shards[0].record_sizes + 1
    shard = dataclasses.replace(shards[0], record_sizes=sizes)
    name = shard.entries[0].name
    both = f"to hold {name} in a record of {sizes[0]:,} bytes, but .* gave {name} in a"
    with pytest.raises(WriteError, match=both):
        new_writer().write(shard)


def test_a_folder_that_does_not_exist_is_an_error_that_names_the_shard(shards):
    shard = dataclasses.replace(shards[0], path=f"{shards[0].path}.d/none/shard")
    with pytest.raises(WriteError, match="cannot be written") as caught:
        new_writer().write(shard)
    assert caught.value.path == shard.path
