"""When a dataset that is there is the one asked for, and what is said if not."""

from __future__ import annotations

import dataclasses

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import SubsetConfig, SubsetListError, WriteError
from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.subset.subset_list import fingerprint
from imagenet2012_subset.write.asked import asked_for
from imagenet2012_subset.write.made_from import MadeFrom, ensure_same, metadata

FOLDER = epath.Path("a/dataset")
MADE = MadeFrom(
    num_examples={"train": 6, "validation": 5},
    names_sha256="ab",
    num_names=6,
    subset_list="list.txt",
)
NAMES = ["n01440764_1.JPEG", "n01443537_2.JPEG", "n01443537_3.JPEG"]


def _differs(asked: MadeFrom, found: MadeFrom) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        ensure_same(asked, found, FOLDER)
    assert "download_mode=" in caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"ignore_duplicates": True},
        {"num_names": 7, "subset_list": "another.txt"},
        # A published list cannot change, and need not be known.
        {"names_sha256": None},
    ],
)
def test_what_makes_no_difference(asked):
    ensure_same(dataclasses.replace(MADE, **asked), MADE, FOLDER)


def test_no_list_is_compared_where_there_are_no_images():
    empty = dataclasses.replace(MADE, num_examples={}, names_sha256="cd")
    ensure_same(empty, dataclasses.replace(MADE, num_examples={}), FOLDER)
    error = _differs(empty, MADE)
    assert isinstance(error, WriteError)
    assert error.problem == "has 6 train images, but 0 are asked for"


def test_another_list():
    error = _differs(dataclasses.replace(MADE, names_sha256="cd"), MADE)
    assert isinstance(error, SubsetListError)
    assert (error.path, error.problem) == (
        "list.txt",
        f"is not the list that {FOLDER} was built from",
    )
    nameless = dataclasses.replace(MADE, names_sha256="cd", subset_list=None)
    assert _differs(nameless, MADE).path == "subset_list"


def test_a_list_that_is_not_told():
    error = _differs(MADE, dataclasses.replace(MADE, names_sha256=None))
    assert isinstance(error, WriteError)
    assert error.problem == "does not say which subset list it was built from"


@pytest.mark.parametrize(
    ("asked", "found", "problem"),
    [
        ({"train": 1}, {"train": 2}, "has 2 train images, but 1 are asked for"),
        ({"train": 2}, {"train": 1}, "has 1 train image, but 2 are asked for"),
        (
            {"train": 1},
            {"train": 1, "validation": 3},
            "has 3 validation images, but 0 are asked for",
        ),
        (
            {"train": 1, "validation": 3},
            {"train": 1},
            "has 0 validation images, but 3 are asked for",
        ),
    ],
)
def test_another_number_of_images(asked, found, problem):
    error = _differs(
        dataclasses.replace(MADE, num_examples=asked),
        dataclasses.replace(MADE, num_examples=found),
    )
    assert isinstance(error, WriteError)
    assert (error.path, error.problem) == (str(FOLDER), problem)


def test_another_order():
    kept = dataclasses.replace(MADE, nondeterministic_order=True)
    ensure_same(kept, kept, FOLDER)
    assert _differs(MADE, kept).problem == (
        "has its images in the archive's order, but TFDS's order is asked for"
    )
    assert _differs(kept, MADE).problem == (
        "has its images in TFDS's order, but the archive's order is asked for"
    )


def test_duplicates_that_were_ignored():
    ignored = dataclasses.replace(MADE, ignore_duplicates=True)
    ensure_same(ignored, ignored, FOLDER)
    assert "ignore_duplicates" in _differs(MADE, ignored).problem


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(NAMES))
    return SubsetConfig(name="small", subset_list=str(path), validation_images=5)


@pytest.mark.parametrize(
    ("most", "num_examples"),
    [
        (None, {"train": 3, "validation": 5}),
        (4, {"train": 3, "validation": 4}),
        (1, {"train": 1, "validation": 1}),
        (0, {}),
    ],
)
def test_what_is_asked_for_by_a_list_of_ones_own(
    config, monkeypatch, most, num_examples
):
    monkeypatch.setattr(
        "imagenet2012_subset.write.asked.read_made_from", lambda folder: MADE
    )
    options = tfds.download.DownloadConfig(
        max_examples_per_split=most, ignore_duplicates=True
    )
    asked = asked_for(config, options, FOLDER, own_list=True)
    assert asked.num_examples == num_examples
    assert asked.ignore_duplicates
    assert not asked.nondeterministic_order
    assert asked.subset_list == config.subset_list
    if most != 0:
        assert (asked.num_names, asked.names_sha256) == (3, fingerprint(NAMES))
    else:
        assert asked.names_sha256 is None


def test_the_list_of_a_published_config_need_not_be_had(tmp_path):
    config = SubsetConfig(
        name="published",
        subset_list=str(tmp_path / "none.txt"),
        training_images=7,
        validation_images=5,
    )
    options = tfds.download.DownloadConfig()
    asked = asked_for(config, options, FOLDER, own_list=False)
    assert asked.num_examples == {"train": 7, "validation": 5}
    assert (asked.num_names, asked.names_sha256) == (7, None)
    assert not asked.ignore_duplicates


def test_what_is_kept_of_a_list_on_this_machine(config):
    options = tfds.download.DownloadConfig(max_examples_per_split=2)
    assert metadata(config, NAMES, options, "builder 1") == {
        "training_names_sha256": fingerprint(NAMES),
        "training_names": 3,
        "subset_list_url": None,  # A path says nothing on another machine.
        "validation_images": 5,
        "max_examples_per_split": 2,
        "ignore_duplicates": False,
        "made_by": "builder 1",
    }
