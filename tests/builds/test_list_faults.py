"""A wrong subset list, or one that does not fit the archives, is an error."""

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import ArchiveError, SubsetListError
from imagenet2012_subset.imagenet.originals import TRAINING
from tests.shared import faults


@pytest.fixture
def rule(build, small_data, tmp_path):
    return faults.Rule(build, small_data, tmp_path)


def _download(small_data, data_dir, config="1pct"):
    builder = imagenet2012_subset.Builder(config=config, data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=small_data.manual_dir)
    )


def _is_refused_by_checksum(small_data, tmp_path, config, list_name, content):
    (small_data.manual_dir / list_name).write_bytes(content)
    before = faults.contents(small_data.manual_dir)
    with pytest.raises(SubsetListError, match=list_name):
        _download(small_data, tmp_path / "data", config)
    faults.assert_nothing_built(tmp_path / "data", config)
    assert faults.contents(small_data.manual_dir) == before


PUBLISHED = pytest.mark.parametrize(
    ("config", "list_name"), [("1pct", "1percent.txt"), ("10pct", "10percent.txt")]
)


@PUBLISHED
@pytest.mark.parametrize("content", [b"", b"n01440764_7.JPEG\n", b"<html>"])
def test_another_list_under_the_name_of_a_published_one(
    small_data, tmp_path, config, list_name, content
):
    _is_refused_by_checksum(small_data, tmp_path, config, list_name, content)


@PUBLISHED
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.rstrip(b"\n"),
        lambda text: text[:-17],
        lambda text: text.replace(b"1", b"2", 1),
    ],
    ids=["CRLF", "byte order mark", "no last newline", "cut off", "other name"],
)
def test_changed_copy_of_a_published_list(
    small_data, tmp_path, real_data, config, list_name, change
):
    text = (real_data / "lists" / list_name).read_bytes()
    assert change(text) != text
    _is_refused_by_checksum(small_data, tmp_path, config, list_name, change(text))


def test_published_list_for_other_archives(small_data, tmp_path, real_data):
    text = (real_data / "lists" / "1percent.txt").read_bytes()
    (small_data.manual_dir / "1percent.txt").write_bytes(text)
    before = faults.contents(small_data.manual_dir)
    with pytest.raises(ArchiveError) as caught:
        _download(small_data, tmp_path / "data")
    faults.assert_clear(caught.value)
    assert f"{TRAINING.file_name}: is missing 12,8" in str(caught.value)
    assert "of 12,811 images (n01440764_" in str(caught.value)
    assert "contains 3 of 1,000 synsets" in str(caught.value)
    faults.assert_nothing_built(tmp_path / "data", "1pct")
    assert faults.contents(small_data.manual_dir) == before


def test_missing(rule, small_data):
    small_data.subset_list.unlink()
    error = rule.refuses("subset.txt: cannot be read (No such file or directory)")
    assert isinstance(error, SubsetListError)
