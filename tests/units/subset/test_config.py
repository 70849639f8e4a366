from __future__ import annotations

import numpy as np
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
    with pytest.raises(ValueError, match=f"validation_images is {number}: it must"):
        SubsetConfig(name="a", subset_list="x", validation_images=number)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("validation_images", "10"),
        ("validation_images", None),
        ("validation_images", 10.0),
        ("validation_images", True),
        ("training_images", "12811"),
        ("training_images", 12811.0),
        ("name", None),
        ("name", 1),
        ("name", b"mine"),
        ("subset_list", None),
        ("subset_list", 3),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error_that_names_the_argument(argument, value):
    arguments = {"name": "a", "subset_list": "x", argument: value}
    with pytest.raises(TypeError, match=f"SubsetConfig's {argument} is ") as caught:
        SubsetConfig(**arguments)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("number", [0, -1])
def test_a_list_without_names_cannot_be_requested(number):
    with pytest.raises(ValueError, match="training_images is"):
        SubsetConfig(name="a", subset_list="x", training_images=number)


def test_integers_of_numpy_are_taken():
    config = SubsetConfig(name="a", subset_list="x", validation_images=np.int64(7))
    assert config.validation_images == 7
    assert type(config.validation_images) is int


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
