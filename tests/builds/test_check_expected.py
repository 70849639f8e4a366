"""What `check DATASET` takes for granted: never what the dataset says of itself."""

import json
import pathlib
import socket

import pytest

from imagenet2012_subset.__main__ import main
from imagenet2012_subset.subset.subset_list import (
    PUBLISHED_FINGERPRINTS,
    fingerprint,
    read_subset_list,
)
from tests.shared import archives, tfds_builder


@pytest.fixture(autouse=True)
def no_internet(monkeypatch):
    """Any attempt to reach another machine fails the test."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("check tried to reach the internet")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def check(capsys):
    def run(*arguments: object) -> tuple[int, list[str]]:
        """Returns the exit status, and the kinds of problems."""
        capsys.readouterr()
        status = main(["check", "--json", *map(str, arguments)])
        findings = json.loads(capsys.readouterr().out)["findings"]
        return status, [
            finding["facts"].get("kind", finding["subject"])
            for finding in findings
            if not finding["ok"]
        ]

    return run


@pytest.fixture
def published(small_data, monkeypatch, tmp_path) -> pathlib.Path:
    """TFDS's dataset `1pct`, as if the small list were the published one."""
    listed = fingerprint(small_data.listed)
    monkeypatch.setitem(PUBLISHED_FINGERPRINTS, "1pct", listed)
    built = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    return pathlib.Path(built.data_path)


def _note(folder: pathlib.Path, **noted: object) -> None:
    path = folder / "metadata.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | noted))


@pytest.fixture
def own(build) -> pathlib.Path:
    """A dataset with a list of its own, without a note on its validation images."""
    folder = pathlib.Path(build().data_path)
    _note(folder, validation_images=None)
    return folder


def test_the_fingerprints_are_those_of_the_published_lists(real_data):
    for config, name in (("1pct", "1percent.txt"), ("10pct", "10percent.txt")):
        listed = read_subset_list(real_data / "lists" / name)
        assert fingerprint(listed) == PUBLISHED_FINGERPRINTS[config]


def test_a_published_config_needs_no_list(published, check):
    assert check(published, "--validation_images", 5) == (0, [])


def test_a_published_config_has_all_validation_images(published, check):
    _note(published, validation_images=5)
    assert check(published) == (1, ["images missing"])


def test_a_published_config_that_lacks_an_image_is_found_out(
    small_data, tmp_path, check, monkeypatch
):
    listed = fingerprint(small_data.listed)
    monkeypatch.setitem(PUBLISHED_FINGERPRINTS, "1pct", listed)
    small_data.subset_list.write_text("\n".join(small_data.listed[1:]))
    built = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    folder, number = built.data_path, ("--validation_images", 5)
    assert check(folder, *number) == (1, ["other names"])


def test_a_published_list_is_not_replaced_by_a_note(published, check):
    _note(published, training_names_sha256="0" * 64)
    assert check(published, "--validation_images", 5) == (0, [])


def test_ones_own_list_is_known_by_its_fingerprint(own, check):
    assert check(own, "--validation_images", 5) == (0, [])
    _note(own, training_names_sha256="0" * 64)
    assert check(own, "--validation_images", 5) == (1, ["other names"])


def test_ones_own_list_does_not_lower_the_number_of_validation_images(own, check):
    assert check(own) == (1, ["images missing"])


def test_the_number_of_validation_images_that_the_builder_noted(own, check):
    _note(own, validation_images=5)
    assert check(own) == (0, [])
    _note(own, validation_images=6)
    assert check(own) == (1, ["images missing"])
    _note(own, validation_images=4)
    assert check(own) == (1, ["images that do not belong here"])
    assert check(own, "--validation_images", 5) == (0, [])


@pytest.mark.parametrize("noted", [None, "5", 0, -5, 5.0, [5], {}])
def test_a_note_that_is_no_number_counts_for_nothing(own, check, noted):
    _note(own, validation_images=noted)
    assert check(own) == (1, ["images missing"])


def test_validation_images_that_lack_are_not_the_archives_fault(
    build, small_data, check
):
    small_data.validation = small_data.validation[:4]
    images = [(archives.validation_name(n), archives.jpeg(n)) for n in range(1, 7)]
    small_data.validation = images[:5]
    small_data.write()
    folder = pathlib.Path(build().data_path)
    _note(folder, validation_images=6)
    small_data.validation = images
    small_data.write()
    manual = ("--manual_dir", small_data.manual_dir)
    assert check(folder) == (1, ["images missing"])
    assert check(folder, *manual) == (1, ["images missing"])


def test_the_message_says_how_to_give_the_number(own, capsys):
    main(["check", str(own)])
    assert "--validation_images" in capsys.readouterr().out


def test_without_a_fingerprint_the_list_has_to_be_given(own, small_data, check):
    (own / "metadata.json").unlink()
    number = ("--validation_images", 5)
    assert check(own, *number) == (1, ["list unknown"])
    assert check(own, *number, "--subset_list", small_data.subset_list) == (0, [])


def test_a_list_given_that_is_another_is_said_to_be(own, small_data, check, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join([*small_data.listed[1:], "n01440764_2.JPEG"]))
    given = ("--subset_list", other, "--validation_images", 5)
    assert check(own, *given) == (
        1,
        ["subset_list", "images missing", "images that do not belong here"],
    )


@pytest.mark.parametrize("content", ["", "no image\n", None])
def test_a_list_given_that_cannot_be_one(own, check, tmp_path, content):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_text(content)
    status, problems = check(own, "--subset_list", path)
    assert (status, problems) == (1, [str(path)])


def _without_first(folder: pathlib.Path, listed: list[str]) -> None:
    """Notes with a dataset that it was built from this list, which has one more."""
    _note(folder, training_names_sha256=fingerprint(listed), validation_images=5)


@pytest.mark.parametrize("where", ["manual", "downloads"])
def test_a_list_that_lies_about_says_which_images_lack(
    own, small_data, capsys, tmp_path, where
):
    listed = [*small_data.listed, "n01443537_12345.JPEG"]
    _without_first(own, listed)
    folder = small_data.manual_dir
    if where == "downloads":
        folder = tmp_path / "data" / "downloads" / "imagenet2012_subset"
    (folder / "a_wrong_list.txt").write_text("n01440764_7.JPEG\n")
    (folder / "notes.txt").write_text("no list at all")
    (folder / "my_list.txt").write_text("\r\n".join(listed))
    (folder / "folder.txt").mkdir()
    assert main(["check", str(own), "--manual_dir", str(small_data.manual_dir)]) == 1
    printed = capsys.readouterr().out
    assert "1 images missing (n01443537_12345.JPEG)" in printed


def test_a_dataset_cut_on_purpose(build, small_data, check):
    folder = pathlib.Path(build(max_examples_per_split=2).data_path)
    _note(folder, validation_images=5, max_examples_per_split=2)
    given = ("--subset_list", small_data.subset_list)
    assert check(folder) == (0, [])
    assert check(folder, *given) == (0, [])
    _note(folder, max_examples_per_split=3)
    assert check(folder, *given) == (1, ["other number", "other number"])
    _note(folder, max_examples_per_split=1)
    assert check(folder) == (1, ["other number", "other number"])
    _note(folder, max_examples_per_split=None)
    problems = ["images missing", "images missing"]
    assert check(folder, *given) == (1, problems)
