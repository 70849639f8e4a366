"""Archives in a bucket give the dataset that local ones give, or an error."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

import imagenet2012_subset
from imagenet2012_subset import ArchiveError, ManualDirError
from tests.conftest import Build, SmallData
from tests.shared import archives
from tests.shared.fault_proxy import FaultProxy, Request
from tests.shared.stores import put_folder

TRAIN = "ILSVRC2012_img_train.tar"
VALIDATION = "ILSVRC2012_img_val.tar"


@pytest.fixture
def manual_dir(bucket: str, small_data: SmallData) -> str:
    """The small archives in a bucket."""
    return put_folder(small_data.manual_dir, f"{bucket}/imagenet/manual")


def _files(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_bytes_are_those_of_a_local_build(build: Build, manual_dir, tmp_path):
    local = build(data_dir=tmp_path / "local", num_shards=2)
    remote = build(manual_dir=manual_dir, num_shards=2)
    assert _files(remote.data_path) == _files(local.data_path)


def test_the_next_machine_reads_no_header_again(
    build: Build, manual_dir, s3: FaultProxy, small_data, tmp_path
):
    first = build(manual_dir=manual_dir, download_dir=tmp_path / "kept")
    s3.requests.clear()
    second = build(
        manual_dir=manual_dir, data_dir=tmp_path / "new", download_dir=tmp_path / "kept"
    )
    # The start of the file tells a tar from a web page; then come the images.
    assert len(s3.reads_of(TRAIN)) == 1 + len(small_data.listed)
    assert _files(second.data_path) == _files(first.data_path)


def test_requests_that_fail_now_and_then_are_made_again(
    build: Build, manual_dir, s3: FaultProxy, tmp_path
):
    local = build(data_dir=tmp_path / "local")
    faults = []

    def every_third(request: Request) -> str | None:
        if request.first is None or len(s3.requests) % 3:
            return None
        faults.append(("error", "cut", "half")[len(faults) % 3])
        return faults[-1]

    with s3.failing(every_third):
        remote = build(manual_dir=manual_dir)
    assert {"error", "cut", "half"} <= set(faults)
    assert _files(remote.data_path) == _files(local.data_path)


@pytest.mark.parametrize("how", ["error", "cut"])
def test_what_keeps_failing_is_an_error_that_names_object_and_byte(
    build: Build, manual_dir, s3: FaultProxy, tmp_path, monkeypatch, how
):
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)  # Each waits a while.
    failed = set()

    def behind_a_thousand(request: Request) -> str | None:
        if TRAIN not in request.path or (request.first or 0) < 1000:
            return None
        failed.add(request.first)
        return how

    with s3.failing(behind_a_thousand), pytest.raises(ArchiveError) as raised:
        build(manual_dir=manual_dir)
    assert raised.value.path == f"{manual_dir}/{TRAIN}"
    assert raised.value.problem.startswith(
        tuple(f"cannot be read at byte {first:,} (" for first in failed)
    )
    assert not list((tmp_path / "data").glob("*/*/5.0.0"))


@pytest.mark.parametrize("after", [1, 5, 20])
def test_an_object_that_is_replaced_meanwhile_is_noticed(
    build: Build, manual_dir, s3: FaultProxy, small_data, tmp_path, after
):
    # As long, and with members at the same places.
    other = {
        wnid: [(name, bytes(data[::-1])) for name, data in images]
        for wnid, images in small_data.training.items()
    }
    is_replaced = False

    def replace(request: Request) -> None:
        nonlocal is_replaced
        if not is_replaced and len(s3.reads_of(TRAIN)) > after:
            is_replaced = True
            (tmp_path / "other").mkdir()
            (tmp_path / "other" / TRAIN).write_bytes(archives.training_tar(other))
            put_folder(tmp_path / "other", manual_dir)

    with (
        s3.failing(replace),
        pytest.raises(ArchiveError, match=r"no longer the object|changed") as raised,
    ):
        build(manual_dir=manual_dir)
    assert is_replaced
    assert raised.value.path == f"{manual_dir}/{TRAIN}"
    assert not list((tmp_path / "data").glob("*/*/5.0.0"))


def test_what_is_not_there_is_an_error(build: Build, bucket, manual_dir):
    with pytest.raises(ManualDirError, match="is empty"):
        build(manual_dir=f"{bucket}/nothing")
    with pytest.raises(ManualDirError, match="is empty"):
        build(manual_dir=f"{bucket}-other/imagenet")
    import s3fs

    s3fs.S3FileSystem().rm(f"{manual_dir}/{VALIDATION}")
    with pytest.raises(ManualDirError, match=f"{VALIDATION}: does not exist"):
        build(manual_dir=manual_dir)


def test_what_the_first_look_did_not_find_the_second_does(
    build: Build, bucket, small_data
):
    manual_dir = f"{bucket}/later"
    with pytest.raises(ManualDirError):
        build(manual_dir=manual_dir)
    put_folder(small_data.manual_dir, manual_dir)
    assert build(manual_dir=manual_dir).is_prepared()


def test_a_list_in_the_bucket_is_read_from_there(
    build: Build, manual_dir, small_data, bucket
):
    import s3fs

    s3fs.S3FileSystem().pipe_file(
        f"{bucket}/lists/subset.txt", small_data.subset_list.read_bytes()
    )
    builder = build(manual_dir=manual_dir, subset_list=f"{bucket}/lists/subset.txt")
    assert builder.info.splits["train"].num_examples == len(small_data.listed)


def test_tfds_build_takes_a_bucket(build: Build, manual_dir, small_data, tmp_path):
    """The command makes its paths before it imports this package."""
    local = build(data_dir=tmp_path / "local")
    config = {
        "name": "small",
        "subset_list": str(small_data.subset_list),
        "validation_images": len(small_data.validation),
    }
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build"]
    command += ["imagenet2012_subset", "--imports=imagenet2012_subset"]
    command += [f"--manual_dir={manual_dir}", f"--data_dir={tmp_path / 'tfds'}"]
    command += [f"--config={json.dumps(config)}"]
    root = pathlib.Path(imagenet2012_subset.__file__).parents[1]
    subprocess.run(command, check=True, cwd=root)
    dataset = tmp_path / "tfds" / "imagenet2012_subset" / "small" / "5.0.0"
    assert _files(dataset) == _files(local.data_path)
