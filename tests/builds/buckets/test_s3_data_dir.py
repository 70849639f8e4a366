"""A dataset in a bucket: the bytes are those of a local one."""

from __future__ import annotations

import tempfile

import pytest

from imagenet2012_subset import Builder, SubsetConfig, WriteError
from tests.conftest import Build, SmallData
from tests.shared.fault_proxy import FaultProxy, Request
from tests.shared.stores import objects, put_folder

NAME = "imagenet2012_subset/small/5.0.0"


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_the_bytes_are_those_of_a_local_build(
    build: Build, bucket, tmp_path, file_format
):
    local = build(data_dir=tmp_path / "local", num_shards=3, file_format=file_format)
    build(data_dir=f"{bucket}/data", num_shards=3, file_format=file_format)
    expected = {path.name: path.read_bytes() for path in local.data_path.iterdir()}
    assert objects(f"{bucket}/data/{NAME}") == expected


def test_it_is_found_again(build: Build, bucket, small_data: SmallData):
    build(data_dir=f"{bucket}/data")
    again = Builder(
        config=SubsetConfig(
            name="small", subset_list=small_data.subset_list, validation_images=5
        ),
        data_dir=f"{bucket}/data",
    )
    assert again.is_prepared()
    assert again.info.splits["train"].num_examples == len(small_data.listed)


def test_the_kept_index_lies_there_and_serves_the_next_machine(
    build: Build, bucket, s3: FaultProxy, small_data: SmallData, tmp_path
):
    manual_dir = put_folder(small_data.manual_dir, f"{bucket}/manual")
    build(manual_dir=manual_dir, data_dir=f"{bucket}/data")
    downloads = f"{bucket}/data/downloads"
    assert len(objects(f"{downloads}/imagenet2012_subset")) == 2
    s3.requests.clear()
    build(manual_dir=manual_dir, data_dir=tmp_path / "new", download_dir=downloads)
    # The start of the file tells a tar from a web page; then come the images.
    reads = s3.reads_of("manual/ILSVRC2012_img_train.tar")
    assert len(reads) == 1 + len(small_data.listed)


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(
    build: Build, bucket, s3: FaultProxy, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def no_shards(request: Request) -> str | None:
        is_shard = request.method == "PUT" and ".tfrecord-" in request.path
        return "error" if is_shard else None

    with s3.failing(no_shards), pytest.raises(WriteError, match="cannot be written"):
        build(data_dir=f"{bucket}/data")
    assert not objects(f"{bucket}/data/imagenet2012_subset/small")
    assert not list((tmp_path / "temporary").glob("imagenet2012_subset*"))


def test_where_nothing_may_be_written_the_archives_are_not_even_read(
    build: Build, bucket, s3: FaultProxy, small_data: SmallData
):
    manual_dir = put_folder(small_data.manual_dir, f"{bucket}/manual")
    s3.requests.clear()

    def read_only(request: Request) -> str | None:
        return "forbidden" if request.method == "PUT" else None

    with s3.failing(read_only), pytest.raises(WriteError, match="cannot be written"):
        build(manual_dir=manual_dir, data_dir=f"{bucket}/data")
    assert not [request for request in s3.requests if request.first]
