"""Subset lists: every way to write one, and the error for everything else."""

import contextlib
import hashlib
import io
import pathlib
import tempfile
import urllib.request
from collections.abc import Sequence
from unittest import mock

import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings, strategies as st

from imagenet2012_subset import SubsetConfig, SubsetListError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.subset import subset_list
from imagenet2012_subset.subset.subset_list import (
    download_list,
    fetch_subset_list,
    read_subset_list,
)
from imagenet2012_subset.tfds_internals import UrlInfo

stems = st.lists(
    st.builds(
        "{}_{}".format, st.sampled_from(names.wnids()), st.integers(0, 10**10 - 1)
    ),
    min_size=1,
    max_size=30,
    unique=True,
)


def read(text: str | bytes) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "list.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_subset_list(path)


def _error(text: str | bytes) -> str:
    with pytest.raises(SubsetListError) as caught:
        read(text)
    assert caught.value.remedy
    return caught.value.problem


def _folder(draw: st.DataObject, stem: str) -> str:
    wnid = stem.partition("_")[0]
    folders = ["", f"{wnid}/", f"train/{wnid}/", f"C:\\train\\{wnid}\\"]
    return draw.draw(st.sampled_from(folders))


@given(stems, st.data())
def test_all_ways_to_write_a_list_give_the_same_names(stems: Sequence[str], draw):
    text = draw.draw(st.sampled_from(["", "\ufeff"]))
    for stem in stems:
        text += draw.draw(st.sampled_from(["", "\n", "\r\n", " \n\n"]))
        text += draw.draw(st.sampled_from(["", " ", "\t"]))
        text += _folder(draw, stem) + stem
        text += draw.draw(st.sampled_from(["", f"_{stem.partition('_')[0]}"]))
        text += draw.draw(st.sampled_from(["", ".JPEG"]))
        text += draw.draw(st.sampled_from(["\n", "\r\n", " \r\n"]))
    if draw.draw(st.booleans()):
        text = text.rstrip()  # The last line may have no end.
    assert read(text) == [f"{stem}.JPEG" for stem in stems]


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.lists(
        st.sampled_from(["n01440764_1", "n01440764", "_", "1", "१", ".JPEG", "/"])
        | st.sampled_from(["\n", "\r", "\ufeff", "\0", "\u2028", "\\", "²", "ILSVRC"])
    ).map(lambda parts: "".join(parts).encode())
)
def test_any_file_gives_names_of_training_images_or_an_error(data):
    with contextlib.suppress(SubsetListError):
        found = read(data)
        assert len(set(found)) == len(found) > 0
        for name in found:
            assert name.isascii()  # As the names in the archive are.
            wnid, _, rest = name.partition("_")
            assert wnid in names.wnids()
            assert rest.removesuffix(".JPEG").isdecimal()


@pytest.mark.parametrize("text", ["", "\n", "\r\n \t\r\n", "\ufeff", "\ufeff\n"])
def test_an_empty_list_is_an_error(text):
    assert _error(text) == "is empty"


@pytest.mark.parametrize(
    "data",
    [b"\x1f\x8b\x08\x00\xff\xfe", "n01440764_1.JPEG".encode("utf-16"), b"\xff\xd8\xff"],
    ids=["gzip", "utf-16", "jpeg"],
)
def test_a_binary_file_is_an_error(data):
    assert _error(data).startswith("is not a text file in UTF-8")


@pytest.mark.parametrize(
    "name",
    [
        "n00001740_2.JPEG",  # A synset of WordNet, entity, but not of the 1,000.
        "<!DOCTYPE html>",
        "n01440764.JPEG",
        "n01440764_.JPEG",
        "n01440764_x.JPEG",
        "n01440764_1.jpg",
        "n01440764_1.JPEG.JPEG",
        "n01440764_1.JPEG,0",
        "n01440764_1.JPEG 0",
        "n1440764_1.JPEG",
        "N01440764_1.JPEG",
        "n01440764_1.JPEG/",
        "n01440764_-1",
        "n01440764_12345678901",
        "n01440764_\N{ARABIC-INDIC DIGIT ONE}.JPEG",
        "n01440764_1\N{SUPERSCRIPT TWO}.JPEG",
    ],
)
def test_a_line_that_is_not_a_name_is_an_error_that_shows_it(name):
    problem = _error(f"n01440764_7.JPEG\n\n{name}\n")
    assert problem.startswith(f"line 3 ({name!r}) is not a training image")


@pytest.mark.parametrize("folder", ["", "val/", "val\\"])
def test_a_validation_image_is_an_error_that_says_so(folder):
    problem = _error(f"n01440764_1.JPEG\n{folder}ILSVRC2012_val_00000001.JPEG\n")
    assert "line 2" in problem
    assert problem.endswith("but a validation image")


@pytest.mark.parametrize(
    "line",
    [
        "n99999999/n01440764_3.JPEG",
        "n99999999/n01440764_3",
        "train/n99999999/n01440764_3.JPEG",
        "n99999999/train/n01440764_3.JPEG",
        "train\\n99999999\\n01440764_3.JPEG",
        "n01440764_3_n99999999.JPEG",
        "n01440764_3_n99999999",
        "n01440764/n01440764_3_n99999999.JPEG",
        "n99999999/n01440764_3_n01440764.JPEG",
    ],
)
@pytest.mark.parametrize("wnid", ["n13037406", "n99999999"])
def test_a_line_that_contradicts_itself_is_an_error_that_shows_it(line, wnid):
    line = line.replace("n99999999", wnid)
    problem = _error(f"n01440764_1.JPEG\n\n{line}\n")
    assert problem.startswith(f"line 3 ({line!r}) contradicts itself")
    assert f"it contains {wnid}, but n01440764_3.JPEG belongs to n01440764" in problem


@given(stems, st.data())
def test_a_name_twice_is_an_error_that_names_both_lines(stems: Sequence[str], draw):
    again = draw.draw(st.integers(0, len(stems) - 1))
    before = draw.draw(st.integers(again + 1, len(stems)))
    lines = [_folder(draw, stem) + stem for stem in stems]
    lines.insert(before, _folder(draw, stems[again]) + stems[again] + ".JPEG")
    assert _error("\n".join(lines)) == (
        f"contains {stems[again]}.JPEG twice, in lines {again + 1} and {before + 1}"
    )


def test_a_long_line_is_shown_in_sixty_characters():
    assert len(_error("x" * 100_000)) < 200
    assert repr("x" * 60) in _error("x" * 60)
    assert repr("x" * 57 + "...") in _error("x" * 61)


def test_a_list_of_another_length_than_the_config_requires_is_an_error(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("n01440764_1.JPEG\n")
    for number in (None, 1, 2):
        config = SubsetConfig(name="a", subset_list=path, training_images=number)
        if number == 2:
            with pytest.raises(SubsetListError, match="has 1 names, but config 'a' ha"):
                fetch_subset_list(config, None, {})
        else:
            assert fetch_subset_list(config, None, {}) == ["n01440764_1.JPEG"]


def test_without_internet_the_error_names_the_place_for_the_list(tmp_path, monkeypatch):
    no_internet = mock.Mock(side_effect=OSError("no internet"))
    monkeypatch.setattr(subset_list, "download", no_internet)
    manager = tfds.download.DownloadManager(
        download_dir=tmp_path / "downloads", manual_dir=tmp_path / "manual"
    )
    url = "https://host/list.txt"
    config = SubsetConfig(name="a", subset_list=url)
    with pytest.raises(SubsetListError, match="no internet") as raised:
        fetch_subset_list(config, manager, {url: UrlInfo(1, "0" * 64, "1percent.txt")})
    assert raised.value.remedy.endswith(
        f"put the list in {tmp_path}/manual/1percent.txt"
    )
    with pytest.raises(SubsetListError, match="no internet") as raised:
        fetch_subset_list(config, manager, {})
    assert "manual" not in raised.value.remedy


def test_a_list_on_an_ftp_server(monkeypatch):
    """`requests`, which downloads the others, does not support FTP."""
    served = mock.Mock(return_value=io.BytesIO(b"n01440764_1.JPEG"))
    monkeypatch.setattr(urllib.request, "urlopen", served)
    assert download_list("ftp://host/list.txt") == b"n01440764_1.JPEG"
    assert served.call_args.args == ("ftp://host/list.txt",)


@pytest.mark.parametrize("manual_dir", ["none", "empty"])
def test_a_published_list_is_downloaded_without_a_manual_dir(tmp_path, manual_dir):
    data = b"n01440764_1.JPEG\n"
    (tmp_path / "downloaded").write_bytes(data)
    (tmp_path / "empty").mkdir()
    manager = tfds.download.DownloadManager(
        download_dir=tmp_path / "downloads", manual_dir=tmp_path / manual_dir
    )
    manager.download = mock.Mock(return_value=tmp_path / "downloaded")
    url = "ftp://host/list.txt"
    info = UrlInfo(len(data), hashlib.sha256(data).hexdigest(), "1percent.txt")
    config = SubsetConfig(name="a", subset_list=url)
    assert fetch_subset_list(config, manager, {url: info}) == ["n01440764_1.JPEG"]
