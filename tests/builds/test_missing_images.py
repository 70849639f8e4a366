"""Images that an archive does not contain, or contains beyond what it should."""

import pytest

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from tests.shared import archives, faults


@pytest.fixture
def rule(build, small_data, tmp_path):
    return faults.Rule(build, small_data, tmp_path)


@pytest.fixture
def lines(small_data):
    return small_data.subset_list.read_bytes().splitlines()


def test_listed_images_that_the_archive_does_not_contain(rule, small_data, lines):
    absent = [b"n01440764_%d.JPEG" % number for number in (105, 103, 104, 101, 102)]
    small_data.subset_list.write_bytes(b"\n".join([*lines, *absent]))
    error = rule.refuses(
        f"{TRAINING.file_name}: is missing 5 of 11 images (n01440764_101.JPEG, "
        "n01440764_102.JPEG, n01440764_103.JPEG, ...)",
        "it has 40,960 bytes, the original 147,897,477,120",
        "contains 3 of 1,000 synsets",
        TRAINING.how_to_get,
    )
    assert isinstance(error, ArchiveError)


def test_listed_synset_that_the_archive_does_not_contain(rule, small_data):
    del small_data.training["n15075141"]
    small_data.write()
    rule.refuses(
        f"{TRAINING.file_name}: is missing 2 of 6 images (n15075141_30.JPEG, "
        "n15075141_7.JPEG)",
        "contains 2 of 1,000 synsets",
    )


def test_one_validation_image_missing(rule, small_data):
    del small_data.validation[2]
    small_data.write()
    error = rule.refuses(
        f"{VALIDATION.file_name}: is missing 1 of 5 images "
        "(ILSVRC2012_val_00000005.JPEG)",
        "the original 6,744,924,160",
        VALIDATION.how_to_get,
        validation_images=5,
    )
    assert isinstance(error, ArchiveError)


@pytest.mark.parametrize("numbers", [[6], [0], [50_001], [6, 99_999_999]])
def test_validation_images_too_many(rule, small_data, numbers):
    extra = [(archives.validation_name(n), archives.jpeg(n)) for n in numbers]
    small_data.validation += extra
    small_data.write()
    error = rule.refuses(
        f"{VALIDATION.file_name}: has {len(extra)} validation image",
        *(name for name, _ in extra),
        VALIDATION.how_to_get,
        validation_images=5,
    )
    assert isinstance(error, ArchiveError)


@pytest.mark.parametrize("shift", [1, -1, 100, 50_000])
def test_validation_images_with_wrong_numbers(rule, small_data, shift):
    small_data.validation = [
        (archives.validation_name(number + shift), data)
        for number, (_, data) in enumerate(small_data.validation, start=1)
    ]
    small_data.write()
    rule.refuses(
        f"{VALIDATION.file_name}: is missing", "of 5 images", VALIDATION.how_to_get
    )


def test_validation_images_without_ilsvrcs_names(rule, small_data):
    small_data.validation = [
        (name.replace("ILSVRC2012_val_", ""), data)
        for name, data in small_data.validation
    ]
    small_data.write()
    rule.refuses(
        f"{VALIDATION.file_name}: is missing 5 of 5 images",
        "contains no ImageNet image, but 00000004.JPEG",
    )
