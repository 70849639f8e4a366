"""What a dataset ought to hold, by its notes and by lists that lie about."""

from __future__ import annotations

import json

import pytest
from etils import epath

from imagenet2012_subset.check.expected import expected_of
from imagenet2012_subset.subset.subset_list import PUBLISHED_FINGERPRINTS, fingerprint

LISTED = ["n01440764_1.JPEG", "n01443537_2.JPEG"]


@pytest.fixture
def dataset(tmp_path):
    folder = epath.Path(tmp_path) / "dataset"
    folder.mkdir()

    def note(config: str = "own", **noted: object) -> epath.Path:
        (folder / "dataset_info.json").write_text(json.dumps({"configName": config}))
        (folder / "metadata.json").write_text(json.dumps(noted))
        return folder

    return note


def test_a_list_is_found_by_its_names_in_the_first_folder_that_has_it(
    dataset, tmp_path
):
    for folder, lines in [
        ("a", LISTED[:1]),
        ("b", ["no image"]),
        ("c", LISTED[::-1]),
        ("d", LISTED),
    ]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list.txt").write_text("\n".join(lines))
    folder = dataset(training_names_sha256=fingerprint(LISTED))
    places = [epath.Path(tmp_path / name) for name in ("none", *"abcd")]
    assert expected_of(folder, lists_in=places).training == LISTED[::-1]
    assert expected_of(folder, lists_in=places[:3]).training is None
    assert expected_of(folder, ["given"], lists_in=places).training == ["given"]


def test_a_file_far_too_long_for_a_list_is_not_read(dataset, tmp_path):
    path = tmp_path / "list.txt"
    folder = dataset(training_names_sha256=fingerprint(LISTED))
    text = "\n".join([*LISTED, ""]).encode()
    path.write_bytes(text.ljust(64 << 20))
    places = [epath.Path(tmp_path)]
    assert expected_of(folder, lists_in=places).training == LISTED
    path.write_bytes(text.ljust((64 << 20) + 1))
    assert expected_of(folder, lists_in=places).training is None


def test_notes_say_how_many_images_ones_own_dataset_has(dataset):
    expected = expected_of(dataset(validation_images=7, max_examples_per_split=3))
    assert (expected.num_validation, expected.is_number_known) == (7, True)
    assert expected.max_examples == 3
    assert expected.names_of("validation") == [
        f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 8)
    ]
    assert expected.names_of("train") is None
    assert expected_of(dataset(validation_images=7), None, 4).num_validation == 4


@pytest.mark.parametrize("noted", [None, 0, -1, "7", 7.5, [7]])
def test_a_note_that_is_no_number_of_images_is_none(dataset, noted):
    expected = expected_of(
        dataset(validation_images=noted, max_examples_per_split=noted)
    )
    assert (expected.num_validation, expected.is_number_known) == (50_000, False)
    assert expected.max_examples is None


def test_a_note_of_a_single_image_counts(dataset):
    expected = expected_of(dataset(validation_images=1, max_examples_per_split=1))
    assert (expected.num_validation, expected.max_examples) == (1, 1)


@pytest.mark.parametrize("noted", [None, 7, ["a"]])
def test_a_note_that_is_no_fingerprint_is_none(dataset, noted):
    assert expected_of(dataset(training_names_sha256=noted)).training_sha256 is None


@pytest.mark.parametrize("config", PUBLISHED_FINGERPRINTS)
def test_of_a_published_config_no_note_counts(dataset, config):
    folder = dataset(
        config,
        training_names_sha256="another",
        validation_images=7,
        max_examples_per_split=3,
    )
    expected = expected_of(folder)
    assert expected.training_sha256 == PUBLISHED_FINGERPRINTS[config]
    assert (expected.num_validation, expected.is_number_known) == (50_000, True)
    assert expected.max_examples is None
    assert expected_of(folder, None, 9).num_validation == 9
