"""Which values a config accepts."""

import numpy as np
import pytest

from imagenet2012_subset import SubsetConfig


@pytest.mark.parametrize(
    "name", ["1pct", "my_list", "a", "0", "v1.2-beta", "a..b", "x" * 100]
)
def test_a_name_that_is_valid_for_a_folder_is_accepted(name):
    assert SubsetConfig(name=name, subset_list="list.txt").name == name


@pytest.mark.parametrize(
    "name",
    [
        *["", ".", "..", "...", ".hidden", "-x", "_x", "a/b", "a\\b", "/a", "../a"],
        *["a b", "a\n", "a\0", "a:b", "~", "*", "incomplete/..", "ä/b"],
    ],
)
def test_any_other_name_is_an_error_that_shows_it(name):
    with pytest.raises(ValueError, match="name becomes a directory") as caught:
        SubsetConfig(name=name, subset_list="list.txt")
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("number", [1, 2, 49_999, 50_000, np.int64(7)])
def test_a_possible_number_of_validation_images_is_accepted(number):
    config = SubsetConfig(name="a", subset_list="x", validation_images=number)
    assert config.validation_images == number
    assert type(config.validation_images) is int


@pytest.mark.parametrize(
    ("argument", "number"),
    [("validation_images", n) for n in (0, -1, 50_001, 10**9)]
    + [("training_images", n) for n in (0, -1)],
)
def test_an_impossible_number_of_images_is_an_error(argument, number):
    with pytest.raises(ValueError, match=f"{argument} is {number}: it must"):
        SubsetConfig(name="a", subset_list="x", **{argument: number})


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
def test_a_url_is_downloaded(subset_list, is_remote):
    assert SubsetConfig(name="a", subset_list=subset_list).is_remote is is_remote


@pytest.mark.parametrize(
    ("given", "description"),
    [(None, "Training images listed in list.txt."), ("Mine.", "Mine."), ("", "")],
)
def test_a_config_without_a_description_describes_its_list(given, description):
    config = SubsetConfig(name="a", subset_list="list.txt", description=given)
    assert config.description == description
