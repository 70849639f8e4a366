"""A dataset in a bucket, written through the file layer that TFDS uses."""

from __future__ import annotations

import collections
import pathlib
import shutil
import tempfile

import pytest
import tensorflow_datasets as tfds
from etils.epath import backend, gpath

from imagenet2012_subset import Builder, SubsetListError, WriteError
from tests.conftest import Build, SmallData
from tests.shared.final_place import contents
from tests.shared.gfile import Bucket

NAME = "imagenet2012_subset/small/5.0.0"


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Bucket:
    bucket = Bucket(tmp_path / "store")
    gfile = property(lambda self: bucket)
    monkeypatch.setattr(type(backend.tf_backend), "gfile", gfile)
    # Tests of other modules make epath use gcsfs, for as long as their server runs.
    monkeypatch.setattr(gpath, "_is_tf_installed", lambda: True)
    return bucket


@pytest.fixture
def data_dir(bucket: Bucket) -> str:
    return "gs://bucket/data"


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> pathlib.Path:
    """The directory for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_the_bytes_are_those_of_a_local_build(
    build: Build, small_builder, data_dir, bucket, tmp_path, temporary, file_format
):
    local = build(data_dir=tmp_path / "local", num_shards=3, file_format=file_format)
    build(data_dir=data_dir, num_shards=3, file_format=file_format)
    expected = contents(local.data_path)
    assert bucket.objects(f"{data_dir}/{NAME}") == expected
    written = [name for name in bucket.written if name in expected]
    assert written[-1] == "dataset_info.json"
    assert sorted(written) == sorted(expected)
    assert not [name for name in bucket.removed if NAME in name]
    assert not list(temporary.glob("imagenet2012_subset*"))
    again = small_builder(data_dir=data_dir)
    again.download_and_prepare(file_format=file_format)
    assert again.is_prepared()
    assert again.info.splits["train"].num_examples == 6


def test_an_upload_that_fails_leaves_no_dataset(
    build: Build, data_dir, bucket: Bucket, temporary
):
    bucket.refuse = lambda name: "label" in name
    with pytest.raises(WriteError, match="no permission") as raised:
        build(data_dir=data_dir)
    assert raised.value.path.startswith(f"{data_dir}/{NAME}/label")
    assert "dataset_info.json" not in bucket.objects(f"{data_dir}/{NAME}")
    assert not list(temporary.glob("imagenet2012_subset*"))
    bucket.refuse = lambda name: False
    assert build(data_dir=data_dir, num_shards=2).is_prepared()
    assert not [name for name in bucket.removed if NAME in name]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_space_needed_is_that_of_the_shards_written_at_a_time(
    build: Build, data_dir, bucket, tmp_path, temporary, monkeypatch, workers
):
    local = pathlib.Path(build(data_dir=tmp_path / "local", num_shards=3).data_path)
    shards = sorted(path.stat().st_size for path in local.glob("*.tfrecord*"))
    needed = sum(shards[-workers:]) + (1 << 20)  # One MiB is for all other files.
    usage = collections.namedtuple("usage", "total used free")

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, free))

    leave(needed - 1)
    with pytest.raises(WriteError, match="bytes free, but the dataset") as raised:
        build(data_dir=data_dir, num_shards=3, workers=workers)
    assert raised.value.path == str(temporary)
    assert raised.value.remedy.startswith("Free 1 bytes, or set TMPDIR")
    leave(needed)
    assert build(data_dir=data_dir, num_shards=3, workers=workers).is_prepared()


def test_an_existing_dataset_is_not_replaced(build: Build, data_dir, bucket: Bucket):
    build(data_dir=data_dir)
    before = bucket.objects(f"{data_dir}/{NAME}")
    overwrite = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    with pytest.raises(WriteError, match="not replaced in a bucket") as raised:
        build(data_dir=data_dir, download_mode=overwrite, num_shards=2)
    assert f"gcloud storage rm -r {data_dir}/{NAME}" in raised.value.remedy
    with pytest.raises(WriteError, match="no format is added"):
        build(data_dir=data_dir, file_format="array_record")
    assert bucket.objects(f"{data_dir}/{NAME}") == before


@pytest.mark.parametrize("same_list", [True, False])
def test_a_faster_build_is_not_touched(
    build: Build,
    data_dir,
    bucket: Bucket,
    small_data: SmallData,
    tmp_path,
    monkeypatch,
    same_list,
):
    generate = Builder._generate_splits
    faster = []

    def lose(self, *args):
        if not faster:
            faster.append(None)
            build(data_dir=data_dir, num_shards=2)
            faster.append(bucket.objects(f"{data_dir}/{NAME}"))
        return generate(self, *args)

    monkeypatch.setattr(Builder, "_generate_splits", lose)
    if same_list:
        build(data_dir=data_dir)
    else:
        other = tmp_path / "other.txt"
        other.write_text("\n".join([*small_data.listed[1:], "n01440764_11"]))
        with pytest.raises(SubsetListError, match="is not the list"):
            build(data_dir=data_dir, subset_list=other)
    assert bucket.objects(f"{data_dir}/{NAME}") == faster[1]


def test_a_missing_shard_is_named_with_a_way_to_build_again(build: Build, data_dir):
    built = build(data_dir=data_dir)
    path = built.data_path / built.info.splits["train"].filenames[0]
    path.unlink()
    assert not built.is_prepared()
    with pytest.raises(WriteError, match="does not exist") as raised:
        build(data_dir=data_dir)
    assert raised.value.path == str(path)
    assert "gcloud storage rm -r" in raised.value.remedy


@pytest.mark.parametrize("scheme", ["s3", "az", "hf"])
def test_what_tensorflow_cannot_read_is_refused(small_builder, scheme):
    with pytest.raises(WriteError, match=f"TensorFlow cannot read {scheme}://") as one:
        small_builder(data_dir=f"{scheme}://bucket/data")
    assert "Build in a local data_dir, then copy it" in one.value.remedy
