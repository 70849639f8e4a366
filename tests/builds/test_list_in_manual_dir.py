"""A published list beside the archives: taken as it is, or an error that says why."""

import hashlib
import http.server
import pathlib
import threading

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from imagenet2012_subset import Builder, SubsetConfig, SubsetListError
from tests.conftest import read_split


@pytest.fixture
def published(small_data, monkeypatch) -> UrlInfo:
    """What is known of the small list, as if it were behind the URL of `1pct`."""
    data = small_data.subset_list.read_bytes()
    info = UrlInfo(len(data), hashlib.sha256(data).hexdigest(), "1percent.txt")
    url = Builder.builder_configs["1pct"].subset_list
    monkeypatch.setitem(Builder.url_infos, url, info)
    return info


@pytest.fixture
def by_hand(small_data) -> pathlib.Path:
    """Where a user puts the list."""
    return small_data.manual_dir / "1percent.txt"


def _build(small_data, tmp_path, url: str | None = None) -> Builder:
    builder = Builder(
        config=SubsetConfig(
            name="listed",
            subset_list=url or Builder.builder_configs["1pct"].subset_list,
            validation_images=5,
        ),
        data_dir=tmp_path / "data",
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=small_data.manual_dir)
    )
    return builder


def _refused(small_data, tmp_path) -> SubsetListError:
    with pytest.raises(SubsetListError) as caught:
        _build(small_data, tmp_path)
    dataset = tmp_path / "data" / "imagenet2012_subset" / "listed"
    assert not [*dataset.glob("[!.]*5.0.0*")]
    return caught.value


def test_the_list_is_taken(small_data, tmp_path, published, by_hand):
    by_hand.write_bytes(small_data.subset_list.read_bytes())
    builder = _build(small_data, tmp_path)
    found = {name for name, _, _ in read_split(builder, "train")}
    assert found == set(small_data.listed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.replace(b"\n", b"\r\n"), "different line ends (CRLF)"),
        (lambda data: data.replace(b"\n", b"\r"), "different line ends (CRLF)"),
        (lambda data: data[:-1], "is cut off, or a different list"),
        (lambda data: data[: len(data) // 2], "is cut off, or a different list"),
        (lambda data: b"", "is cut off, or a different list"),
        (lambda data: data + b"n01440764_1.JPEG\n", "its sha256 differs"),
        (lambda data: data.replace(b"_7.", b"_8."), "its sha256 differs"),
    ],
)
def test_another_file_is_refused(
    small_data, tmp_path, published, by_hand, change, said
):
    by_hand.write_bytes(change(small_data.subset_list.read_bytes()))
    error = _refused(small_data, tmp_path)
    assert error.path == str(by_hand)
    assert said in error.problem
    assert Builder.builder_configs["1pct"].subset_list in error.remedy
    assert "remove it" in error.remedy


def test_both_lengths_are_said(small_data, tmp_path, published, by_hand):
    by_hand.write_bytes(small_data.subset_list.read_bytes()[:-7])
    problem = _refused(small_data, tmp_path).problem
    assert f"{published.size - 7:,} bytes" in problem
    assert f"the published list {published.size:,}" in problem


def test_a_folder_in_its_place_is_refused(small_data, tmp_path, published, by_hand):
    by_hand.mkdir()
    error = _refused(small_data, tmp_path)
    assert error.path == str(by_hand)
    assert "cannot be read" in error.problem


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>please log in</html>")

    def log_message(self, *args: object) -> None:
        pass


def test_another_file_behind_the_url_is_refused(small_data, tmp_path, monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/list.txt"
    info = UrlInfo(1, "0" * 64, "1percent.txt")
    monkeypatch.setitem(Builder.url_infos, url, info)
    try:
        with pytest.raises(SubsetListError) as caught:
            _build(small_data, tmp_path, url)
    finally:
        server.shutdown()
    assert caught.value.path == url
    assert "is not the published list" in caught.value.problem
    assert "log-in page" in caught.value.remedy


def test_a_list_in_the_home_directory(build, small_data, monkeypatch):
    monkeypatch.setenv("HOME", str(small_data.subset_list.parent))
    builder = build(subset_list=f"~/{small_data.subset_list.name}")
    assert builder.info.splits["train"].num_examples == len(small_data.listed)


def test_a_home_directory_that_nobody_has(build):
    with pytest.raises(SubsetListError, match="cannot be read"):
        build(subset_list="~no_such_user_anywhere/list.txt")
