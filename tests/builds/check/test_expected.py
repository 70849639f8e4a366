"""What `check DATASET` expects: lists, numbers and what the dataset records."""

import pathlib
import shutil
import socket

import pytest

from imagenet2012_subset.subset.subset_list import (
    PUBLISHED_FINGERPRINTS,
    fingerprint,
    read_subset_list,
)
from tests.builds.check.conftest import record
from tests.shared import tfds_builder


@pytest.fixture(autouse=True)
def no_internet(monkeypatch):
    """Lets every attempt to reach another machine fail the test."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("check tried to reach the internet")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def published(small_data, monkeypatch, tmp_path):
    """Builds TFDS's dataset `1pct`, as if the small list were the published one."""
    listed = fingerprint(small_data.listed)
    monkeypatch.setitem(PUBLISHED_FINGERPRINTS, "1pct", listed)

    def build(**options: object) -> pathlib.Path:
        built = tfds_builder.build(
            "1pct",
            small_data.manual_dir,
            small_data.subset_list,
            tmp_path / "theirs",
            **options,
        )
        return pathlib.Path(built.data_path)

    return build


def test_fingerprints_are_those_of_the_published_lists(real_data):
    for config, name in (("1pct", "1percent.txt"), ("10pct", "10percent.txt")):
        listed = read_subset_list(real_data / "lists" / name)
        assert fingerprint(listed) == PUBLISHED_FINGERPRINTS[config]


def test_published_config(published, small_data, check):
    folder = published()
    given = ("--validation_images", 5)
    assert check(folder, *given).status == 0
    assert check(folder).kinds == ["images missing"]
    # What the directory of a published config records does not count.
    record(folder, validation_images=5, training_names_sha256="0" * 64)
    assert check(folder).kinds == ["images missing"]
    assert check(folder, *given).status == 0
    shutil.rmtree(folder)
    small_data.subset_list.write_text("\n".join(small_data.listed[2:]))
    assert check(published(), *given).kinds == ["other names"]


def test_published_config_cut_on_purpose(published, check):
    checked = check(published(max_examples_per_split=3), "--validation_images", 5)
    assert checked.status == 0
    assert "max_examples_per_split=3" in checked.remarks[0]


def test_recorded_fingerprint_and_number_of_validation_images(dataset, check):
    assert check(dataset).status == 0
    record(dataset, validation_images=6)
    assert check(dataset).kinds == ["images missing"]
    record(dataset, validation_images=4)
    assert check(dataset).kinds == ["images that do not belong here"]
    number = ("--validation_images", 5)
    assert check(dataset, *number).status == 0
    record(dataset, training_names_sha256="0" * 64)
    assert check(dataset, *number).kinds == ["other names"]


@pytest.mark.parametrize("recorded", [None, "5", 0, -5, 5.0, [5]])
def test_recorded_value_that_is_not_a_number(dataset, check, recorded):
    record(dataset, validation_images=recorded, max_examples_per_split=recorded)
    checked = check(dataset)
    assert checked.kinds == ["images missing"]
    assert "--validation_images" in checked.wrong["validation"][0]


def test_dataset_without_a_fingerprint_needs_its_list(dataset, small_data, check):
    (dataset / "metadata.json").unlink()
    number = ("--validation_images", 5)
    assert check(dataset, *number).kinds == ["list unknown"]
    given = ("--subset_list", small_data.subset_list)
    assert check(dataset, *number, *given).status == 0


def test_given_list_is_another_list_or_none(dataset, small_data, check, tmp_path):
    path = tmp_path / "list.txt"
    given = ("--subset_list", path)
    assert set(check(dataset, *given).wrong) == {str(path)}
    for content in ("", "no image\n"):
        path.write_text(content)
        assert set(check(dataset, *given).wrong) == {str(path)}
    path.write_text("\n".join([*small_data.listed[1:], "n01440764_2.JPEG"]))
    assert check(dataset, *given).kinds == [
        "subset_list",
        "images missing",
        "images that do not belong here",
    ]


@pytest.mark.parametrize("where", ["manual_dir", "downloads"])
def test_list_that_is_found_names_missing_image(
    dataset, small_data, check, tmp_path, where
):
    listed = [*small_data.listed, "n01443537_12345.JPEG"]
    record(dataset, training_names_sha256=fingerprint(listed))
    folder = small_data.manual_dir
    if where == "downloads":
        folder = tmp_path / "data" / "downloads" / "imagenet2012_subset"
    (folder / "folder.txt").mkdir(parents=True)
    (folder / "a_different_list.txt").write_text("n01440764_7.JPEG\n")
    (folder / "notes.txt").write_text("not a list")
    (folder / "my_list.txt").write_text("\r\n".join(listed))
    wrong = check(dataset, "--manual_dir", small_data.manual_dir).wrong
    assert wrong["train"][0].startswith("1 images missing (n01443537_12345.JPEG)")


def test_recorded_limit(build, small_data, check):
    folder = pathlib.Path(build(max_examples_per_split=2).data_path)
    given = ("--subset_list", small_data.subset_list)
    record(folder, max_examples_per_split=3)
    assert check(folder, *given).kinds == ["other number", "other number"]
    record(folder, max_examples_per_split=1)
    assert check(folder).kinds == ["other number", "other number"]
    record(folder, max_examples_per_split=None)
    assert check(folder, *given).kinds == ["images missing", "images missing"]
