"""A dataset in a bucket, written through the file layer that TFDS uses.

TensorFlow's own client of Google's store cannot be pointed at a server on this machine.
Here its Python functions open files of a local directory instead.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from etils.epath import backend, gpath

from imagenet2012_subset import Builder, SubsetListError, WriteError
from tests.shared import faults
from tests.shared.final_place import contents

NAME = "imagenet2012_subset/small/5.0.0"


class Bucket:
    """Files of a local directory, under names that begin with `gs://`.

    Attributes:
      written: the name of each object in the order in which it was complete.
      refuse: returns whether writing an object of this name is refused.
      removed: the names that were removed or renamed.
    """

    def __init__(self, folder: pathlib.Path):
        self.written: list[str] = []
        self.removed: list[str] = []
        self.refuse: Callable[[str], bool] = lambda name: False
        self._folder = folder

    def objects(self, url: str) -> dict[str, bytes]:
        """Returns the objects below a URL, by name."""
        folder = pathlib.Path(self._local(url))
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {
            os.fspath(path.relative_to(folder)): path.read_bytes() for path in paths
        }

    def _local(self, path: Any) -> str:
        return os.fspath(path).replace("gs://", f"{self._folder}/")

    def __getattr__(self, name: str) -> Any:
        function = getattr(tf.io.gfile, name)

        def call(*paths: Any, **keywords: Any) -> Any:
            if name in ("remove", "rename", "rmtree"):
                self.removed.append(os.fspath(paths[0]))
            return function(*map(self._local, paths), **keywords)

        return call

    def GFile(self, path: Any, mode: str) -> Any:  # noqa: N802 - TensorFlow's name.
        return _File(self, os.fspath(path), self._local(path), mode)


class _File:
    """A file that exists once it is closed; a bucket needs no directories."""

    def __init__(self, bucket, name: str, local: str, mode: str):
        self._bucket, self._name, self._mode = bucket, name, mode
        if "w" in mode:
            if bucket.refuse(name):
                raise tf.errors.PermissionDeniedError(None, None, "no permission")
            os.makedirs(os.path.dirname(local), exist_ok=True)
        self._file = tf.io.gfile.GFile(local, mode)

    def __enter__(self) -> Any:
        return self._file.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)
        if "w" in self._mode:
            self._bucket.written.append(os.path.basename(self._name))


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Bucket:
    bucket = Bucket(tmp_path / "store")
    gfile = property(lambda self: bucket)
    monkeypatch.setattr(type(backend.tf_backend), "gfile", gfile)
    # Tests of other modules make epath use gcsfs, for as long as their server runs.
    monkeypatch.setattr(gpath, "_is_tf_installed", lambda: True)
    return bucket


@pytest.fixture
def data_dir(bucket) -> str:
    return "gs://bucket/data"


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> pathlib.Path:
    """The directory for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_same_bytes_as_locally(
    build, small_builder, data_dir, bucket, tmp_path, temporary, file_format
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


def test_a_failed_upload_leaves_no_dataset(build, data_dir, bucket, temporary):
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
    build, data_dir, bucket, tmp_path, temporary, leave_free, workers
):
    local = faults.shards(build(data_dir=tmp_path / "local", num_shards=3))
    shards = sorted(map(len, local.values()))
    # While shards are uploaded, as many others are written. One MiB is for other files.
    needed = sum(shards[-2 * workers :]) + (1 << 20)
    leave_free(needed - 1)
    with pytest.raises(WriteError, match="bytes free, but the dataset") as raised:
        build(data_dir=data_dir, num_shards=3, workers=workers)
    assert raised.value.path == str(temporary)
    assert raised.value.remedy.startswith("Free 1 bytes, or set TMPDIR")
    leave_free(needed)
    assert build(data_dir=data_dir, num_shards=3, workers=workers).is_prepared()


def test_an_existing_dataset_is_not_replaced(build, data_dir, bucket):
    build(data_dir=data_dir)
    before = bucket.objects(f"{data_dir}/{NAME}")
    overwrite = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    with pytest.raises(WriteError, match="in a bucket are never overwritten") as raised:
        build(data_dir=data_dir, download_mode=overwrite, num_shards=2)
    assert f"gcloud storage rm -r {data_dir}/{NAME}" in raised.value.remedy
    with pytest.raises(WriteError, match="formats cannot be added"):
        build(data_dir=data_dir, file_format="array_record")
    assert bucket.objects(f"{data_dir}/{NAME}") == before


@pytest.mark.parametrize("same_list", [True, False])
def test_a_faster_build_is_not_touched(
    build,
    data_dir,
    bucket,
    small_data,
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


def test_a_missing_shard_is_named_with_a_way_to_build_again(build, data_dir):
    built = build(data_dir=data_dir)
    path = built.data_path / built.info.splits["train"].filenames[0]
    path.unlink()
    assert not built.is_prepared()
    with pytest.raises(WriteError, match="does not exist") as raised:
        build(data_dir=data_dir)
    assert raised.value.path == str(path)
    assert "gcloud storage rm -r" in raised.value.remedy


@pytest.mark.parametrize("scheme", ["s3", "az"])
def test_what_tensorflow_cannot_read_is_refused(small_builder, scheme):
    with pytest.raises(WriteError, match=f"TensorFlow cannot read {scheme}://") as one:
        small_builder(data_dir=f"{scheme}://bucket/data")
    assert "Build in a local data_dir, then copy it" in one.value.remedy
