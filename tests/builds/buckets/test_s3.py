"""Archives in a bucket give the dataset that local ones give, or an error."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import pathlib
import pickle
import subprocess
import sys
import tarfile
import threading

import pytest
from etils import epath
from tensorflow_datasets.core.download.checksums import UrlInfo

import imagenet2012_subset
from imagenet2012_subset import (
    ArchiveError,
    Builder,
    ManualDirError,
    SubsetListError,
)
from imagenet2012_subset.imagenet.originals import TRAINING
from imagenet2012_subset.sources.tar_archive import TarArchive
from tests.conftest import Build, SmallData
from tests.shared import archives
from tests.shared.fault_proxy import FaultProxy, Request
from tests.shared.stores import delete, put, put_folder

TRAIN = "ILSVRC2012_img_train.tar"
VALIDATION = "ILSVRC2012_img_val.tar"
STRETCH = 8 << 20


@pytest.fixture
def manual_dir(bucket: str, small_data: SmallData) -> str:
    """The small archives in a bucket."""
    return put_folder(small_data.manual_dir, f"{bucket}/imagenet/manual")


def _files(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_bytes_are_those_of_a_local_build(
    build: Build, manual_dir, s3: FaultProxy, tmp_path
):
    local = build(data_dir=tmp_path / "local", num_shards=2)
    s3.requests.clear()
    remote = build(manual_dir=manual_dir, num_shards=2)
    assert _files(remote.data_path) == _files(local.data_path)
    # Nothing is listed: both archives, and a prepared dataset, are looked up by name.
    names = {pathlib.Path(request.path).name for request in s3.requests}
    assert names == {TRAIN, VALIDATION, "dataset_info.json"}


def test_a_second_build_reads_no_header_again(
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


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_walk_makes_a_request_for_each_8_mebibytes_not_for_each_header(
    bucket, s3: FaultProxy, is_plain
):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as outer:
        for wnid in ("n01440764", "n01443537"):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w", format=tarfile.PAX_FORMAT) as t:
                for number in range(1500):
                    member = tarfile.TarInfo(f"{wnid}_{number}.JPEG")
                    member.size = 6000
                    member.pax_headers = {} if is_plain else {"comment": "x"}
                    t.addfile(member, io.BytesIO(bytes(6000)))
            member = tarfile.TarInfo(f"{wnid}.tar")
            member.size = len(inner.getvalue())
            outer.addfile(member, io.BytesIO(inner.getvalue()))
    put(f"{bucket}/{TRAIN}", tar.getvalue())
    archive = TarArchive(epath.Path(f"{bucket}/{TRAIN}"), TRAINING)
    s3.requests.clear()
    assert len(archive.index.entries) == 3000
    assert len(s3.requests) == -(-len(tar.getvalue()) // STRETCH)


def test_another_process_reads_what_was_found(
    manual_dir, s3: FaultProxy, small_data: SmallData
):
    archive = TarArchive(epath.Path(f"{manual_dir}/{TRAIN}"), TRAINING)
    entries = archive.look_up(small_data.listed)
    archive, entries = pickle.loads(pickle.dumps((archive, entries)))
    s3.requests.clear()
    images = dict(zip(entries, archive.read_images(entries), strict=True))
    assert {entry.name: data for entry, data in images.items()} == {
        name: data
        for synset in small_data.training.values()
        for name, data in synset
        if name in small_data.listed
    }
    assert len(s3.requests) == len(entries)


def test_beam_builds_from_a_bucket(
    small_data: SmallData, build: Build, manual_dir, tmp_path
):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
    local = build(data_dir=tmp_path / "local", num_shards=2)
    beam = build(manual_dir=manual_dir, num_shards=2, beam_runner="DirectRunner")
    assert _files(beam.data_path) == _files(local.data_path)


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


@pytest.mark.parametrize("after", [0, 1, 3])
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
            put(f"{manual_dir}/{TRAIN}", archives.training_tar(other))

    with (
        s3.failing(replace),
        pytest.raises(ArchiveError, match="was replaced or deleted") as raised,
    ):
        build(manual_dir=manual_dir)
    assert is_replaced
    assert raised.value.path == f"{manual_dir}/{TRAIN}"
    assert not list((tmp_path / "data").glob("*/*/5.0.0"))


def test_what_does_not_exist_is_an_error(build: Build, bucket, manual_dir):
    with pytest.raises(ManualDirError, match=f"{TRAIN}: does not exist") as raised:
        build(manual_dir=f"{bucket}/nothing")
    assert raised.value.path == f"{bucket}/nothing/{TRAIN}"
    with pytest.raises(ManualDirError, match="is not an existing bucket"):
        build(manual_dir=f"{bucket}-other/imagenet")
    delete(f"{manual_dir}/{VALIDATION}")
    with pytest.raises(ManualDirError, match=f"{VALIDATION}: does not exist"):
        build(manual_dir=manual_dir)


def test_an_object_that_is_not_a_tar_is_an_error(build: Build, manual_dir):
    put(f"{manual_dir}/{TRAIN}", b"<html>Log in first</html>")
    with pytest.raises(ManualDirError, match="is a web page") as raised:
        build(manual_dir=manual_dir)
    assert raised.value.path == f"{manual_dir}/{TRAIN}"


def test_refused_access_is_an_error(build: Build, manual_dir, s3: FaultProxy):
    with (
        s3.failing(lambda request: "forbidden"),
        pytest.raises(ManualDirError, match="denied access"),
    ):
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
    put(f"{bucket}/lists/subset.txt", small_data.subset_list.read_bytes())
    builder = build(manual_dir=manual_dir, subset_list=f"{bucket}/lists/subset.txt")
    assert builder.info.splits["train"].num_examples == len(small_data.listed)


@pytest.mark.parametrize("is_beside_the_archives", [True, False])
def test_a_published_list_is_taken_from_the_bucket_or_downloaded(
    build: Build, bucket, manual_dir, small_data, monkeypatch, is_beside_the_archives
):
    data = small_data.subset_list.read_bytes()
    server = http.server.HTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(_Answers, "data", b"" if is_beside_the_archives else data)
    url = f"http://127.0.0.1:{server.server_port}/list.txt"
    info = UrlInfo(len(data), hashlib.sha256(data).hexdigest(), "1percent.txt")
    monkeypatch.setitem(Builder.url_infos, url, info)
    if is_beside_the_archives:
        put(f"{manual_dir}/1percent.txt", data)
    builder = build(manual_dir=manual_dir, subset_list=url)
    assert builder.info.splits["train"].num_examples == len(small_data.listed)
    server.shutdown()


def test_another_file_in_the_place_of_a_published_list_is_refused(
    build: Build, manual_dir, monkeypatch
):
    url = "http://127.0.0.1:9/list.txt"
    info = UrlInfo(1, "0" * 64, "1percent.txt")
    monkeypatch.setitem(Builder.url_infos, url, info)
    put(f"{manual_dir}/1percent.txt", b"n01440764_7.JPEG")
    with pytest.raises(SubsetListError, match="is not the published list") as raised:
        build(manual_dir=manual_dir, subset_list=url)
    assert raised.value.path == f"{manual_dir}/1percent.txt"


class _Answers(http.server.BaseHTTPRequestHandler):
    data = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        self.wfile.write(self.data)

    def log_message(self, *args: object) -> None:
        pass


# The command takes half a minute: one server is enough.
@pytest.mark.parametrize("s3", ["moto"], indirect=True)
def test_tfds_build_takes_a_bucket(build: Build, manual_dir, small_data, tmp_path):
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
