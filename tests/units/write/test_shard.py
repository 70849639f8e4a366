"""A shard's plan determines its bytes, wherever it is written."""

import dataclasses
import pathlib
import pickle
import threading

import pytest
from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.plan.shards import (
    RecordSerializer,
    ShardPlan,
    SplitPlan,
    plan_split,
)
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.sources.tar_archive import TarArchive
from imagenet2012_subset.subset.select import select_training
from imagenet2012_subset.tfds_internals import (
    ExampleWriter,
    FileFormat,
    ShardConfig,
    ShardedFileTemplate,
)
from imagenet2012_subset.write import local
from imagenet2012_subset.write.local import run_together, write_splits
from imagenet2012_subset.write.shard import ShardWriter
from tests.shared import archives, faults
from tests.shared.tfds_builder import features_of_the_dataset

NUM_SHARDS = 3


def generate_examples(images: Images):
    for image in images:
        example = {"file_name": image.name, "image": image.data, "label": image.wnid}
        yield image.name, example


def new_writer(generate=generate_examples) -> ShardWriter:
    serializer = RecordSerializer(features_of_the_dataset())
    return ShardWriter(
        generate, serializer, ExampleWriter(file_format=FileFormat.TFRECORD)
    )


def plan_of(
    split: str, images: Images, folder: pathlib.Path, num_shards: int
) -> SplitPlan:
    """Plans a split of these images in a new folder."""
    folder.mkdir()
    template = ShardedFileTemplate(
        data_dir=epath.Path(folder),
        dataset_name="imagenet2012_subset",
        split=split,
        filetype_suffix="tfrecord",
    )
    config = ShardConfig(num_shards=num_shards)
    sizes = images.stored_sizes()
    return plan_split(split, images.source, images.entries, sizes, config, template)


@pytest.fixture
def shards(small_data, tmp_path) -> list[ShardPlan]:
    """The plans of the small data's training images."""
    source = find_source(epath.Path(small_data.manual_dir), TRAINING)
    images = select_training(source, small_data.listed)
    return plan_of("train", images, tmp_path / "written", NUM_SHARDS).shards


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


def test_each_image_is_reported_and_an_error_ends_the_shard(shards):
    shard = shards[0]
    reported: dict[str, bytes] = {}
    new_writer().write(shard, reported.__setitem__)
    images = Images(shard.source, shard.entries)
    assert reported == {image.name: image.data for image in images}

    with pytest.raises(ZeroDivisionError):
        new_writer().write(shard, lambda name, data: 1 / 0)


def test_a_record_of_another_length_than_planned_is_an_error(shards):
    sizes = shards[0].record_sizes + 1
    shard = dataclasses.replace(shards[0], record_sizes=sizes)
    name = shard.entries[0].name
    planned = f"should contain {name} in a record of {sizes[0]:,} bytes"
    both = f"{planned}, but .* yielded {name} in a"
    with pytest.raises(WriteError, match=both):
        new_writer().write(shard)


def test_a_folder_that_does_not_exist_is_an_error_that_names_the_shard(shards):
    shard = dataclasses.replace(shards[0], path=f"{shards[0].path}.d/none/shard")
    with pytest.raises(WriteError, match=f"{shard.path}: cannot be written"):
        new_writer().write(shard)


# A shard that fails stops the others, within an image.


@pytest.fixture
def plan(tmp_path) -> SplitPlan:
    # Bytes that follow a JPEG make each one different.
    images = [
        (archives.validation_name(n), archives.jpeg(1) + n.to_bytes(2, "little"))
        for n in range(1, 1001)
    ]
    path = epath.Path(tmp_path) / VALIDATION.file_name
    path.write_bytes(archives.tar_bytes(images))
    source = TarArchive(path, VALIDATION)
    images = Images(source, source.index.entries)
    return plan_of("validation", images, tmp_path / "written", 10)


@pytest.fixture
def stops(monkeypatch) -> list[threading.Event]:
    """The event that ends the tasks of `write_splits`, once it runs them."""
    events = []

    def run(tasks, num_threads, stop):
        events.append(stop)
        run_together(tasks, num_threads, stop)

    monkeypatch.setattr(local, "run_together", run)
    return events


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("workers", [2, 5])
def test_the_others_stop(plan, stops, workers, error):
    """The first shard fails once others have begun; each of those ends at its image."""
    first = threading.Lock()
    begun = threading.Semaphore(0)
    continued = []

    def generate(images):
        begun.release()
        examples = generate_examples(images)
        key, example = next(examples)
        if first.acquire(blocking=False):
            for _ in range(workers):
                assert begun.acquire(timeout=300)
            raise error
        yield key, example
        yield next(examples)
        assert stops[0].wait(timeout=300)
        yield next(examples)
        continued.append(key)

    with pytest.raises(error):
        write_splits([plan], new_writer(generate), workers=workers)
    assert not continued
