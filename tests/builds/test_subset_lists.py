"""Subset lists: behind a URL, beside the archives, or a local file."""

import hashlib
import pathlib
from unittest import mock

import pytest
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from imagenet2012_subset import Builder, SubsetListError
from tests.conftest import read_split
from tests.shared import faults

URL = Builder.builder_configs["1pct"].subset_list


def test_a_list_behind_a_url_is_downloaded_once(build, web, rule, small_data, tmp_path):
    web.texts["list.txt"] = small_data.subset_list.read_bytes()
    url, downloads = web.url("list.txt"), tmp_path / "downloads"
    rule.builds(subset_list=url, download_dir=downloads)
    del web.texts["list.txt"]
    rule.builds(subset_list=url, download_dir=downloads)
    assert web.requested == ["list.txt"]
    builder = build(subset_list=url, download_dir=downloads)
    assert builder.info.download_size == small_data.subset_list.stat().st_size


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("missing", "cannot be downloaded (404"),
        ("cut off", "cannot be downloaded ("),
        ("no server", "cannot be downloaded ("),
        ("web page", "line 1 ('<!DOCTYPE html>') is not a training image"),
    ],
)
def test_a_url_without_a_list(rule, web, small_data, fault, problem):
    if fault == "cut off":
        web.texts["list.txt"] = small_data.subset_list.read_bytes()[:-30]
        web.length = len(web.texts["list.txt"]) + 30
    elif fault == "web page":
        web.texts["list.txt"] = b"<!DOCTYPE html>\n<html>Log in</html>"
    url = "http://127.0.0.1:9/list.txt" if fault == "no server" else web.url("list.txt")
    # TFDS itself retries for many minutes.
    with mock.patch.object(requests, "get", wraps=requests.get) as get:
        error = rule.refuses(problem, subset_list=url)
    assert get.call_count == 1
    assert get.call_args.kwargs["timeout"]
    assert isinstance(error, SubsetListError)
    if fault != "web page":
        assert error.path == url
        assert "pass a local path as subset_list" in error.remedy


@pytest.fixture
def by_hand(small_data, monkeypatch) -> pathlib.Path:
    """Makes the small list the published one of `1pct`; where a user puts it."""
    data = small_data.subset_list.read_bytes()
    info = UrlInfo(len(data), hashlib.sha256(data).hexdigest(), "1percent.txt")
    monkeypatch.setitem(Builder.url_infos, URL, info)
    return small_data.manual_dir / "1percent.txt"


def test_the_published_list_beside_the_archives(build, small_data, by_hand):
    by_hand.write_bytes(small_data.subset_list.read_bytes())
    names = {name for name, _, _ in read_split(build(subset_list=URL), "train")}
    assert names == set(small_data.listed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data.replace(b"\n", b"\r\n"), "different line ends (CRLF)"),
        (
            lambda data: data[:-7],
            "is cut off, or a different list: it has {:,} bytes, the published list",
        ),
        (lambda data: data.replace(b"_7.", b"_8."), "its sha256 differs"),
        (None, "cannot be read (Is a directory)"),
    ],
    ids=["CRLF", "cut off", "different name", "directory"],
)
def test_another_file_beside_the_archives(rule, small_data, by_hand, change, problem):
    data = small_data.subset_list.read_bytes()
    if change:
        by_hand.write_bytes(change(data))
    else:
        by_hand.mkdir()
    error = rule.refuses(problem.format(len(data) - 7), subset_list=URL)
    assert error.path == str(by_hand)
    if change:
        assert URL in error.remedy
        assert "remove it" in error.remedy


def test_a_different_file_behind_the_published_url(rule, web, monkeypatch):
    web.texts["list.txt"] = b"<html>please log in</html>"
    url = web.url("list.txt")
    info = UrlInfo(1, "0" * 64, "1percent.txt")
    monkeypatch.setitem(Builder.url_infos, url, info)
    error = rule.refuses("is not the published list", "log-in page", subset_list=url)
    assert error.path == url


@pytest.mark.parametrize(
    ("config", "name"), [("1pct", "1percent.txt"), ("10pct", "10percent.txt")]
)
def test_a_custom_list_with_the_name_of_a_published_one(
    small_data, tmp_path, config, name
):
    (small_data.manual_dir / name).write_bytes(b"n01440764_7.JPEG\n")
    builder = Builder(config=config, data_dir=tmp_path / "data")
    options = tfds.download.DownloadConfig(manual_dir=small_data.manual_dir)
    with pytest.raises(SubsetListError, match=name):
        builder.download_and_prepare(download_config=options)
    faults.assert_nothing_built(tmp_path / "data", config)


def test_a_local_list(rule, small_data, monkeypatch):
    monkeypatch.setenv("HOME", str(small_data.subset_list.parent))
    rule.builds(subset_list=f"~/{small_data.subset_list.name}")
    for path in ("~no_such_user_anywhere/list.txt", "nowhere/list.txt"):
        error = rule.refuses("cannot be read (No such file", subset_list=path)
        assert isinstance(error, SubsetListError)
