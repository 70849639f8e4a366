"""A shard that fails stops the others, within an image."""

import threading

import pytest
from etils import epath

from imagenet2012_subset import Builder, SubsetConfig
from imagenet2012_subset.imagenet.names import VALIDATION
from imagenet2012_subset.plan.shards import RecordSerializer, SplitPlan, plan_split
from imagenet2012_subset.sources.discovery import find_source
from imagenet2012_subset.sources.images import Images
from imagenet2012_subset.tfds_internals import ShardConfig
from imagenet2012_subset.write import local
from imagenet2012_subset.write.local import run_together, write_splits
from imagenet2012_subset.write.shard import ShardWriter
from tests.shared import archives

NUM_IMAGES = 1000
NUM_SHARDS = 10


class _Failure(Exception):
    pass


@pytest.fixture
def builder(tmp_path) -> Builder:
    config = SubsetConfig(name="small", subset_list="unused.txt")
    return Builder(config=config, data_dir=tmp_path / "data")


@pytest.fixture
def plan(builder, tmp_path) -> SplitPlan:
    data = archives.jpeg(1)
    # Bytes that follow a JPEG make each one different.
    numbers = range(1, NUM_IMAGES + 1)
    images = [
        (archives.validation_name(n), data + bytes([n % 256, n >> 8])) for n in numbers
    ]
    (tmp_path / VALIDATION.file_name).write_bytes(archives.tar_bytes(images))
    source = find_source(epath.Path(tmp_path), VALIDATION)
    entries = source.index.entries
    builder.data_path.mkdir(parents=True)
    return plan_split(
        "validation",
        source,
        entries,
        Images(source, entries).stored_sizes(),
        ShardConfig(num_shards=NUM_SHARDS),
        builder._get_filename_template(split_name="validation"),
    )


@pytest.fixture
def stops(monkeypatch) -> list[threading.Event]:
    """The event that ends the tasks of `write_splits`, once it runs them."""
    events = []

    def run(tasks, num_threads, stop):
        events.append(stop)
        run_together(tasks, num_threads, stop)

    monkeypatch.setattr(local, "run_together", run)
    return events


@pytest.mark.parametrize("error", [_Failure, KeyboardInterrupt])
@pytest.mark.parametrize("workers", [2, 5])
def test_the_others_stop(builder, plan, stops, workers, error):
    """The first shard fails once others have begun; each of those ends at its image."""
    first = threading.Lock()
    begun = threading.Semaphore(0)
    continued = []

    def generate(images):
        begun.release()
        examples = builder._generate_examples(images)
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

    writer = ShardWriter(
        generate, RecordSerializer(builder.info.features), builder._example_writer()
    )
    with pytest.raises(error):
        write_splits([plan], writer, workers=workers)
    assert not continued
