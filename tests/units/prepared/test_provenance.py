"""When an existing dataset is the requested one, and the error if it is not."""

import dataclasses
from typing import Any

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import SubsetConfig, SubsetListError, WriteError
from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.prepared.provenance import Provenance, ensure_same, metadata_of
from imagenet2012_subset.subset.subset_list import fingerprint

FOLDER = epath.Path("a/dataset")
BUILT = Provenance(
    num_examples={"train": 6, "validation": 5},
    names_sha256="ab",
    num_names=6,
    subset_list="list.txt",
)
NAMES = ["n01440764_1.JPEG", "n01443537_2.JPEG", "n01443537_3.JPEG"]


def _differs(requested: Provenance, found: Provenance) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        ensure_same(requested, found, FOLDER)
    assert "download_mode=" in caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "requested",
    [
        {},
        {"ignore_duplicates": True},
        {"num_names": 7, "subset_list": "another.txt"},
        # A published list cannot change, so it need not be known.
        {"names_sha256": None},
    ],
)
def test_what_makes_no_difference(requested):
    ensure_same(dataclasses.replace(BUILT, **requested), BUILT, FOLDER)


def test_no_list_is_compared_where_there_are_no_images():
    empty = dataclasses.replace(BUILT, num_examples={}, names_sha256="cd")
    ensure_same(empty, dataclasses.replace(BUILT, num_examples={}), FOLDER)
    error = _differs(empty, BUILT)
    assert isinstance(error, WriteError)
    assert error.problem == "has 6 train images, but 0 are requested"


def test_a_different_list():
    error = _differs(dataclasses.replace(BUILT, names_sha256="cd"), BUILT)
    assert isinstance(error, SubsetListError)
    assert (error.path, error.problem) == (
        "list.txt",
        f"is not the list that {FOLDER} was built from",
    )
    nameless = dataclasses.replace(BUILT, names_sha256="cd", subset_list=None)
    assert _differs(nameless, BUILT).path == "subset_list"


@pytest.mark.parametrize(
    ("requested", "found", "problem"),
    [
        ({"train": 1}, {"train": 2}, "has 2 train images, but 1 are requested"),
        ({"train": 2}, {"train": 1}, "has 1 train image, but 2 are requested"),
        (
            {"train": 1},
            {"train": 1, "validation": 3},
            "has 3 validation images, but 0 are requested",
        ),
        (
            {"train": 1, "validation": 3},
            {"train": 1},
            "has 0 validation images, but 3 are requested",
        ),
    ],
)
def test_a_different_number_of_images(requested, found, problem):
    _other(problem, {"num_examples": requested}, {"num_examples": found})


def _other(problem: str, requested: dict[str, Any], found: dict[str, Any]) -> None:
    wanted = dataclasses.replace(BUILT, **requested)
    error = _differs(wanted, dataclasses.replace(BUILT, **found))
    assert isinstance(error, WriteError)
    assert (error.path, error.problem) == (str(FOLDER), problem)


def test_different_options():
    theirs = "the order of the archives"
    kept = {"nondeterministic_order": True}
    _other(f"has its images in {theirs}, but TFDS's order is requested", {}, kept)
    _other(f"has its images in TFDS's order, but {theirs} is requested", kept, {})
    unrecorded = {"names_sha256": None}
    problem = "does not record which subset list it was built from"
    _other(problem, {}, unrecorded)
    ignored = dataclasses.replace(BUILT, ignore_duplicates=True)
    assert "ignore_duplicates" in _differs(BUILT, ignored).problem
    for options in (kept, {"ignore_duplicates": True}):
        same = dataclasses.replace(BUILT, **options)
        ensure_same(same, same, FOLDER)


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
def test_what_a_users_own_list_requests(config, most, num_examples):
    options = tfds.download.DownloadConfig(
        max_examples_per_split=most, ignore_duplicates=True
    )
    requested = Provenance.requested(config, options, BUILT, FOLDER, own_list=True)
    assert requested == Provenance(
        num_examples=num_examples,
        names_sha256=None if most == 0 else fingerprint(NAMES),
        subset_list=config.subset_list,
        ignore_duplicates=True,
    )


def test_a_published_list_is_not_read(config):
    config.subset_list, config.training_images = "none.txt", 7
    options = tfds.download.DownloadConfig()
    requested = Provenance.requested(config, options, BUILT, FOLDER, own_list=False)
    assert requested.num_examples == {"train": 7, "validation": 5}
    assert requested.names_sha256 is None
    assert not requested.ignore_duplicates


def test_metadata_of_a_local_list(config):
    options = tfds.download.DownloadConfig(max_examples_per_split=2)
    assert metadata_of(config, NAMES, options, "builder 1") == {
        "training_names_sha256": fingerprint(NAMES),
        "training_names": 3,
        "subset_list_url": None,  # A path means nothing on another machine.
        "validation_images": 5,
        "max_examples_per_split": 2,
        "ignore_duplicates": False,
        "made_by": "builder 1",
    }
