"""Archives in a bucket give the dataset that local ones give, or an error."""

from __future__ import annotations

import hashlib
import pathlib
import tarfile

import pytest
from etils import epath
from tensorflow_datasets.core.download.checksums import UrlInfo

from imagenet2012_subset import ArchiveError, Builder, ManualDirError, SubsetListError
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources.tar_archive import TarArchive
from tests.builds.conftest import tfds_build
from tests.shared import archives
from tests.shared.fault_proxy import Request
from tests.shared.final_place import contents
from tests.shared.stores import delete, put, put_folder

TRAIN = "ILSVRC2012_img_train.tar"
VALIDATION = "ILSVRC2012_img_val.tar"
STRETCH = 8 << 20


@pytest.fixture
def manual_dir(bucket: str, small_data) -> str:
    """The small archives in a bucket."""
    return put_folder(small_data.manual_dir, f"{bucket}/imagenet/manual")


def test_same_bytes_as_locally(build, manual_dir, s3, tmp_path):
    local = build(data_dir=tmp_path / "local", num_shards=2)
    s3.requests.clear()
    remote = build(manual_dir=manual_dir, num_shards=2)
    assert contents(remote.data_path) == contents(local.data_path)
    # Nothing is listed: both archives, and a prepared dataset, are looked up by name.
    names = {pathlib.Path(request.path).name for request in s3.requests}
    assert names == {TRAIN, VALIDATION, "dataset_info.json"}


def test_headers_are_read_once(build, manual_dir, s3, small_data, tmp_path):
    first = build(manual_dir=manual_dir, download_dir=tmp_path / "kept")
    s3.requests.clear()
    second = build(
        manual_dir=manual_dir, data_dir=tmp_path / "new", download_dir=tmp_path / "kept"
    )
    # The start of the file tells a tar from a web page; then come the images.
    assert len(s3.reads_of(TRAIN)) == 1 + len(small_data.listed)
    assert contents(second.data_path) == contents(first.data_path)


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_walk_makes_a_request_for_each_8_mebibytes(bucket, s3, is_plain):
    folder = "" if is_plain else "é/"  # This takes a pax header for each image.
    synsets = {
        wnid: [(f"{folder}{wnid}_{n}.JPEG", bytes(6000)) for n in range(1500)]
        for wnid in ("n01440764", "n01443537")
    }
    tar = archives.training_tar(synsets, tarfile.PAX_FORMAT)
    put(f"{bucket}/{TRAIN}", tar)
    archive = TarArchive(epath.Path(f"{bucket}/{TRAIN}"), TRAINING)
    s3.requests.clear()
    assert len(archive.index.entries) == 3000
    assert len(s3.requests) == -(-len(tar) // STRETCH)


def test_beam_builds_from_a_bucket(small_data, build, manual_dir, tmp_path):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
    local = build(data_dir=tmp_path / "local", num_shards=2)
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    beam = build(manual_dir=manual_dir, num_shards=2, beam_runner=runner)
    assert contents(beam.data_path) == contents(local.data_path)


@pytest.mark.parametrize("after", [0, 3])
def test_an_object_that_is_replaced(build, manual_dir, s3, small_data, final, after):
    # Of the same length, with members at the same offsets.
    other = {
        wnid: [(name, bytes(data[::-1])) for name, data in images]
        for wnid, images in small_data.training.items()
    }
    is_replaced = False

    def replace(request: Request) -> None:
        nonlocal is_replaced
        if not is_replaced and len(s3.reads_of(TRAIN)) > after:
            is_replaced = True
            put(f"{manual_dir}/{TRAIN}", archives.training_tar(other))

    with (
        s3.failing(replace),
        pytest.raises(ArchiveError, match="was replaced or deleted") as raised,
    ):
        build(manual_dir=manual_dir)
    assert is_replaced
    assert raised.value.path == f"{manual_dir}/{TRAIN}"
    assert not final.exists()


def test_what_does_not_exist_is_an_error(build, bucket, manual_dir):
    with pytest.raises(ManualDirError, match=f"{TRAIN}: does not exist") as raised:
        build(manual_dir=f"{bucket}/nothing")
    assert raised.value.path == f"{bucket}/nothing/{TRAIN}"
    delete(f"{manual_dir}/{VALIDATION}")
    with pytest.raises(ManualDirError, match=f"{VALIDATION}: does not exist"):
        build(manual_dir=manual_dir)


def test_an_object_that_is_not_a_tar_is_an_error(build, manual_dir):
    put(f"{manual_dir}/{TRAIN}", b"<html>Log in first</html>")
    with pytest.raises(ManualDirError, match="is a web page") as raised:
        build(manual_dir=manual_dir)
    assert raised.value.path == f"{manual_dir}/{TRAIN}"


def test_an_archive_that_is_uploaded_later_is_found(build, bucket, small_data):
    manual_dir = f"{bucket}/later"
    with pytest.raises(ManualDirError):
        build(manual_dir=manual_dir)
    put_folder(small_data.manual_dir, manual_dir)
    assert build(manual_dir=manual_dir).is_prepared()


def test_a_list_in_the_bucket_is_read(build, manual_dir, small_data, bucket):
    put(f"{bucket}/lists/subset.txt", small_data.subset_list.read_bytes())
    builder = build(manual_dir=manual_dir, subset_list=f"{bucket}/lists/subset.txt")
    assert builder.info.splits["train"].num_examples == len(small_data.listed)


def test_a_published_list_in_the_bucket(build, manual_dir, small_data, monkeypatch):
    data = small_data.subset_list.read_bytes()
    url, path = "http://127.0.0.1:9/list.txt", f"{manual_dir}/1percent.txt"
    info = UrlInfo(len(data), hashlib.sha256(data).hexdigest(), "1percent.txt")
    monkeypatch.setitem(Builder.url_infos, url, info)
    with pytest.raises(SubsetListError, match="cannot be downloaded"):
        build(manual_dir=manual_dir, subset_list=url)
    put(path, b"n01440764_7.JPEG".ljust(999))
    with pytest.raises(SubsetListError, match="is not the published list") as raised:
        build(manual_dir=manual_dir, subset_list=url)
    assert raised.value.path == path
    put(path, data)
    builder = build(manual_dir=manual_dir, subset_list=url)
    assert builder.info.splits["train"].num_examples == len(small_data.listed)


def test_tfds_build_takes_a_bucket(build, manual_dir, small_data, tmp_path):
    local = build(data_dir=tmp_path / "local")
    dataset = tfds_build(small_data, tmp_path / "tfds", manual_dir=manual_dir)
    assert contents(dataset) == contents(local.data_path)
