from __future__ import annotations

import pytest

from imagenet2012_subset import SubsetConfig


@pytest.mark.parametrize(
    "name", ["1pct", "my_list", "a", "0", "v1.2-beta", "a..b", "x" * 100]
)
def test_a_name_that_is_fit_for_a_folder_is_taken(name):
    assert SubsetConfig(name=name, subset_list="list.txt").name == name


@pytest.mark.parametrize(
    "name",
    [
        *["", ".", "..", "...", ".hidden", "-x", "_x", "a/b", "a\\b", "/a", "../a"],
        *["a b", "a\n", "a\0", "a:b", "~", "*", "incomplete/..", "ä/b"],
    ],
)
def test_any_other_name_is_an_error_that_shows_it(name):
    with pytest.raises(ValueError, match="name becomes a folder") as caught:
        SubsetConfig(name=name, subset_list="list.txt")
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("number", [1, 2, 49_999, 50_000])
def test_any_number_of_validation_images_that_there_are_is_taken(number):
    config = SubsetConfig(name="a", subset_list="x", validation_images=number)
    assert config.validation_images == number


@pytest.mark.parametrize("number", [0, -1, 50_001, 10**9])
def test_a_number_of_validation_images_that_cannot_be_is_an_error(number):
    with pytest.raises(ValueError, match=f"validation_images is {number}: there are 1"):
        SubsetConfig(name="a", subset_list="x", validation_images=number)


@pytest.mark.parametrize(
    ("subset_list", "is_remote"),
    [
        ("list.txt", False),
        ("/data/list.txt", False),
        ("gs://bucket/list.txt", False),
        ("httplist.txt", False),
        ("http://host/list.txt", True),
        ("https://host/list.txt", True),
        ("ftp://host/list.txt", True),
    ],
)
def test_a_list_on_the_web_is_to_be_downloaded(subset_list, is_remote):
    assert SubsetConfig(name="a", subset_list=subset_list).is_remote is is_remote
