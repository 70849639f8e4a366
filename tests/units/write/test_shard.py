"""A shard's plan is all that its bytes follow from, wherever it is written."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import pickle
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.errors import ArchiveError, WriteError
from imagenet2012_subset.imagenet.names import wnids_file
from imagenet2012_subset.imagenet.originals import TRAINING
from imagenet2012_subset.plan.record_size import RecordSerializer
from imagenet2012_subset.plan.shards import ShardPlan, plan_split
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

NUM_SHARDS = 3
TOP = pathlib.Path(__file__).parents[3]


def generate_examples(images: Images):
    for image in images:
        example = {"file_name": image.name, "image": image.data, "label": image.wnid}
        yield image.name, example


def new_writer(generate=generate_examples) -> ShardWriter:
    features = tfds.features.FeaturesDict(
        {
            "file_name": tfds.features.Text(),
            "image": tfds.features.Image(),
            "label": tfds.features.ClassLabel(names_file=wnids_file()),
        }
    )
    example_writer = ExampleWriter(file_format=FileFormat.TFRECORD)
    return ShardWriter(generate, RecordSerializer(features), example_writer)


@pytest.fixture
def shards(small_data, tmp_path) -> list[ShardPlan]:
    """What is to be written of the small data's training images."""
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
    plan = plan_split(
        "train",
        source,
        images.entries,
        images.stored_sizes(),
        config,
        template,
    )
    return plan.shards


def _same_plan(one: ShardPlan, other: ShardPlan) -> bool:
    return (
        (one.split, one.path, one.source.path)
        == (other.split, other.path, other.source.path)
        and list(one.entries) == list(other.entries)
        and one.record_sizes.tolist() == other.record_sizes.tolist()
    )


def test_a_plan_may_be_pickled(shards):
    for shard in shards:
        pickled = pickle.dumps(shard)
        assert len(pickled) < 4000  # No open file, and no image, goes with it.
        assert _same_plan(pickle.loads(pickled), shard)


_IN_ANOTHER_PROCESS = """
import pathlib, pickle, sys
from tests.units.write.test_shard import new_writer
for path in sys.argv[1:]:
    shard = pickle.loads(pathlib.Path(path).read_bytes())
    new_writer().write(shard)
"""


def test_another_process_writes_the_same_shards_as_a_build(
    build, small_data, shards, tmp_path
):
    pickled = []
    for number, shard in enumerate(shards):
        pickled.append(tmp_path / f"plan{number}")
        pickled[-1].write_bytes(pickle.dumps(shard))
    command = [sys.executable, "-c", _IN_ANOTHER_PROCESS, *reversed(pickled)]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "4321",
        "PYTHONPATH": os.pathsep.join([str(TOP), os.environ.get("PYTHONPATH", "")]),
    }
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    built = faults.shards(build(num_shards=NUM_SHARDS))
    written = {
        pathlib.Path(shard.path).name: pathlib.Path(shard.path).read_bytes()
        for shard in shards
    }
    assert written == {name: built[name] for name in built if "train" in name}


def test_a_shard_may_be_written_again_and_again(shards):
    writer = new_writer()
    written = []
    for _ in range(2):
        for shard in shards:
            writer.write(shard)
        written.append([pathlib.Path(shard.path).read_bytes() for shard in shards])
    assert written[0] == written[1]
    folder = pathlib.Path(shards[0].path).parent
    assert len(list(folder.iterdir())) == NUM_SHARDS


def _touch(path):
    os.utime(path)


def _grow(path):
    with path.open("ab") as archive:
        archive.write(bytes(512))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_touch, "was written to or replaced while it was in use"),
        (_grow, "had 40,960 bytes and now has 41,472"),
        (os.unlink, "cannot be opened"),
    ],
)
def test_an_archive_that_changes_after_it_was_found_is_an_error(
    shards, small_data, change, problem
):
    change(small_data.manual_dir / TRAINING.file_name)
    with pytest.raises(ArchiveError, match=f"{TRAINING.file_name}: {problem}"):
        new_writer().write(shards[0])


def test_other_bytes_where_an_image_was_are_an_error(shards, small_data, monkeypatch):
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


def test_a_plan_for_other_records_is_an_error_that_tells_both(shards):
    sizes = shards[0].record_sizes + 1
    shard = dataclasses.replace(shards[0], record_sizes=sizes)
    name = shard.entries[0].name
    told = f"to hold {name} in a record of {sizes[0]:,} bytes, but .* gave {name} in a"
    with pytest.raises(WriteError, match=told):
        new_writer().write(shard)


def test_a_folder_that_is_not_there_is_an_error_that_names_the_shard(shards):
    shard = dataclasses.replace(shards[0], path=f"{shards[0].path}.d/none/shard")
    with pytest.raises(WriteError, match="cannot be written") as caught:
        new_writer().write(shard)
    assert caught.value.path == shard.path
