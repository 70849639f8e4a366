"""A wrong subset list, or one that does not fit the archives, is an error."""

import pathlib

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import ArchiveError, SubsetConfig, SubsetListError
from imagenet2012_subset.imagenet.names import wnids
from imagenet2012_subset.imagenet.originals import TRAINING
from tests.shared import archives, faults


@pytest.fixture
def rule(build, small_data, tmp_path):
    return faults.Rule(build, small_data, tmp_path)


@pytest.fixture
def lines(small_data):
    return small_data.subset_list.read_bytes().splitlines()


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


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b" \t\n", b"\xef\xbb\xbf\r\n"],
)
def test_empty(rule, small_data, content):
    small_data.subset_list.write_bytes(content)
    error = rule.refuses("subset.txt: is empty", "one training image a line")
    assert isinstance(error, SubsetListError)


def test_missing(rule, small_data):
    small_data.subset_list.unlink()
    error = rule.refuses("subset.txt: cannot be read (No such file or directory)")
    assert isinstance(error, SubsetListError)


def test_directory(rule, small_data):
    small_data.subset_list.unlink()
    small_data.subset_list.mkdir()
    error = rule.refuses("subset.txt: cannot be read (Is a directory)")
    assert isinstance(error, SubsetListError)


@pytest.mark.parametrize(
    "written",
    [
        b"\r\n".join,
        lambda lines: b"\xef\xbb\xbf" + b"\n".join(lines),
        lambda lines: b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\r\n",
        lambda lines: b"\n\n" + b"\n \n\n".join(lines) + b"\n\n\n",
        b"\r".join,
        lambda lines: b"".join(b"  " + line + b"\t \n" for line in lines),
        lambda lines: b"\n".join(reversed(lines)),
        lambda lines: b"\n".join(line.removesuffix(b".JPEG") for line in lines),
        lambda lines: b"\n".join(line[:9] + b"/" + line for line in lines),
        lambda lines: b"\r\n".join(b"train\\" + line for line in lines),
    ],
    ids=[
        "CRLF",
        "byte order mark",
        "byte order mark and CRLF",
        "blank lines",
        "CR",
        "spaces",
        "other order",
        "no .JPEG",
        "folders",
        "folders of Windows",
    ],
)
def test_written_otherwise(rule, small_data, lines, written):
    small_data.subset_list.write_bytes(written(lines))
    rule.builds()


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        (b"n99999999_1.JPEG", "line 7 ('n99999999_1.JPEG') names no training image"),
        (b"n1440764_1.JPEG", "line 7 ('n1440764_1.JPEG') names no training image"),
        (b"n01440764_7.jpeg", "line 7 ('n01440764_7.jpeg') names no training image"),
        (b"n01440764", "line 7 ('n01440764') names no training image"),
        (b"# 6 images", "line 7 ('# 6 images') names no training image"),
        (b"n01440764_7.JPEG n01440764_2.JPEG", "names no training image"),
        (
            archives.validation_name(1).encode(),
            "names no training image but one of the validation set",
        ),
        ("n01440764_\uff17.JPEG".encode(), "line 7 ('n01440764_\uff17.JPEG') names no"),
        (b"<!DOCTYPE html><html>" + b"x" * 9999, "line 7 ('<!DOCTYPE html><html>xxx"),
        (b"n01440764_7.JPEG\0", "names no training image"),
    ],
)
def test_line_that_names_no_training_image(rule, small_data, lines, added, problem):
    small_data.subset_list.write_bytes(b"\n".join([*lines, added]))
    error = rule.refuses("subset.txt: ", problem, "one training image a line")
    assert isinstance(error, SubsetListError)
    assert len(str(error)) < 1000


@pytest.mark.parametrize("again", [b"%s", b"train/%s", b" %s "])
def test_name_twice(rule, small_data, lines, again):
    small_data.subset_list.write_bytes(b"\n".join([*lines, again % lines[1]]))
    error = rule.refuses(
        f"subset.txt: names {lines[1].decode()} twice, in lines 2 and 7", "Remove one"
    )
    assert isinstance(error, SubsetListError)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_another_encoding(rule, small_data, encoding):
    text = small_data.subset_list.read_text()
    small_data.subset_list.write_bytes(text.encode(encoding))
    error = rule.refuses("subset.txt: ")
    assert isinstance(error, SubsetListError)


def test_no_text(rule, small_data):
    small_data.subset_list.write_bytes(archives.jpeg(1))
    error = rule.refuses("subset.txt: is not a text file", "one training image a line")
    assert isinstance(error, SubsetListError)


@pytest.mark.parametrize("count", [12_810, 12_812, 1])
def test_other_number_of_names(small_data, tmp_path: pathlib.Path, count):
    names = [f"{wnids()[i % 1000]}_{i}.JPEG" for i in range(count)]
    small_data.subset_list.write_text("\n".join(names))
    config = SubsetConfig(
        name="small",
        subset_list=str(small_data.subset_list),
        training_images=12_811,
        validation_images=5,
    )
    before = faults.contents(small_data.manual_dir)
    with pytest.raises(SubsetListError) as caught:
        _download(small_data, tmp_path / "data", config)
    faults.assert_clear(caught.value)
    assert f"subset.txt: has {count:,} name" in str(caught.value)
    assert "config 'small' has 12,811" in str(caught.value)
    faults.assert_nothing_built(tmp_path / "data")
    assert faults.contents(small_data.manual_dir) == before
