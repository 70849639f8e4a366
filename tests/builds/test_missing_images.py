"""Images that an archive does not contain, or contains beyond what it should."""

import pytest

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from tests.shared import faults


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
