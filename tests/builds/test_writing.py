"""How a build writes, and what may appear in its final place meanwhile."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import resource
import shutil
import threading
import time

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import DatasetError, WriteError
from imagenet2012_subset.write.shard import ShardWriter
from tests.builds.conftest import run_program
from tests.conftest import read_split
from tests.shared import faults, forms
from tests.shared.final_place import contents, names_in
from tests.shared.limits import limited


@pytest.mark.parametrize("workers", [1, 3])
def test_as_many_shards_at_a_time_as_workers(build, monkeypatch, workers):
    write = ShardWriter._write_records
    together = threading.Barrier(workers)
    lock = threading.Lock()
    running = most = 0

    def write_together(self, *args):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(300)
        time.sleep(0.05)  # If one too many begins, this makes it likely to be seen.
        try:
            return write(self, *args)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(ShardWriter, "_write_records", write_together)
    build(workers=workers, num_shards=3)
    assert most == workers


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EIO])
def test_a_disk_error_after_a_faster_build(build, tmp_path, final, monkeypatch, number):
    """The dataset of the other build does not hide the error."""
    other = build(data_dir=tmp_path / "other")
    rename = os.rename

    def fail(source, target):
        if str(target) == str(final):
            shutil.copytree(other.data_path, final)
            raise OSError(number, os.strerror(number))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises((OSError, DatasetError), match=os.strerror(number)):
        build()
    assert contents(final) == contents(pathlib.Path(other.data_path))
    assert names_in(final.parent) == ["5.0.0"]


@pytest.mark.parametrize("what", ["an empty folder", "other files", "a dataset"])
def test_what_another_process_put_there(build, tmp_path, final, once_built, what):
    other = build(data_dir=tmp_path / "other", max_examples_per_split=3)

    def put():
        if what == "a dataset":
            shutil.copytree(other.data_path, final)
        else:
            final.mkdir()
            if what == "other files":
                (final / "notes").write_text("notes")

    once_built(put)
    found = "has 3 train images" if what == "a dataset" else "has no dataset_info.json"
    with pytest.raises(WriteError, match=found) as raised:
        build()
    assert raised.value.path == str(final)
    assert names_in(final.parent) == ["5.0.0"]


class _Subclass(imagenet2012_subset.Builder, skip_registration=True):
    name = "renamed"
    BUILDER_CONFIGS = []


def test_a_subclass_can_be_overwritten_too(build, small_builder, tmp_path):
    build(small_builder(_Subclass))
    overwrite = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    again = build(small_builder(_Subclass), download_mode=overwrite)
    assert len(read_split(again, "train")) == 6
    assert os.listdir(tmp_path / "data" / "renamed" / "small") == ["5.0.0"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda examples: [
                (key, {**example, "file_name": "other.JPEG"})
                for key, example in examples
            ],
            r"yielded \w+\.JPEG in a record of",
        ),
        (lambda examples: list(examples)[:-1], "yielded no more"),
        (lambda examples: [*examples] * 2, "should contain no more"),
    ],
    ids=["changed", "fewer", "more"],
)
def test_a_subclass_with_other_examples(build, small_builder, change, problem):
    class Changing(_Subclass, skip_registration=True):
        def _generate_examples(self, images):
            yield from change(super()._generate_examples(images))

    builder = small_builder(Changing)
    with pytest.raises(WriteError, match="should contain") as raised:
        build(builder)
    assert re.search(problem, str(raised.value))
    assert not builder.data_path.exists()


def test_any_number_of_workers_in_any_process(small_data, tmp_path):
    """In the format that needs no TensorFlow, as each process would import it."""
    # An even number of processes could agree on protobuf's random order by chance.
    built = []
    for workers in (1, 2, 8):
        code = f"build(num_shards=3, file_format='array_record', workers={workers})"
        data_dir = tmp_path / str(workers)
        run_program(code, small_data, data_dir)
        built.append(contents(data_dir / "imagenet2012_subset" / "small" / "5.0.0"))
    assert len(built[0]) == 3 + 3 + 4
    assert built == [built[0]] * 3


@pytest.mark.parametrize("file_format", ["tfrecord", "parquet"])
def test_any_number_of_workers_in_other_formats(build, tmp_path, file_format):
    options = {"file_format": file_format, "num_shards": 3}
    first = build(workers=1, data_dir=tmp_path / "1", **options)
    second = build(workers=3, data_dir=tmp_path / "3", **options)
    assert contents(first.data_path) == contents(second.data_path)


@pytest.mark.parametrize("form", ["tars", "tree"])
def test_more_workers_than_open_files(build, small_data, tmp_path, form):
    right = faults.shards(build(num_shards=5, data_dir=tmp_path / "right"))
    if form == "tree":
        shutil.rmtree(small_data.manual_dir)
        forms.training_tree("train")(small_data, small_data.manual_dir)
        forms.validation_flat("val")(small_data, small_data.manual_dir)
    with limited(resource.RLIMIT_NOFILE, len(os.listdir("/dev/fd")) + 40):
        built = build(workers=64, num_shards=5)
    assert faults.shards(built) == right
