"""The same bytes under several names: a warning, and an error where they are many."""

from __future__ import annotations

import concurrent.futures
import logging

import numpy as np
import pytest

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.write.duplicates import Duplicates


def _add_all(images: list[bytes]) -> Duplicates:
    sizes = np.array([len(data) for data in images], np.int64)
    duplicates = Duplicates("/data/train", "train", sizes)
    for number, data in enumerate(images):
        duplicates.add(f"{number}.JPEG", data)
    return duplicates


def _different(number: int, size: int = 8) -> list[bytes]:
    return [index.to_bytes(size, "big") for index in range(1, number + 1)]


def test_a_pair_in_a_small_split_is_accepted():
    _add_all([b"the same"] * 2)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("num_copies", [1, 2, 3])
def test_one_percent_is_accepted(num_copies, size):
    _add_all([b"the same"] * num_copies + _different(300 - num_copies, size))


@pytest.mark.parametrize(
    ("copies", "num_images"),
    [
        ([b"photo no longer available"] * 20, 200),
        ([b"photo no longer available"] * 3, 199),
        ([b"a", b"a", b"b", b"b", b"c", b"c"], 599),
        ([b"the same"] * 3, 3),
    ],
)
def test_more_than_one_percent_is_refused(copies, num_images):
    with pytest.raises(ArchiveError) as caught:
        _add_all(_different(num_images - len(copies)) + copies)
    assert caught.value.path == "/data/train"
    assert f"of {num_images} train images share their bytes" in caught.value.problem
    assert f"{num_images - len(copies)}.JPEG, " in caught.value.problem


def test_the_error_comes_as_early_as_possible():
    images = [b"the same"] * 100 + _different(100)
    duplicates = Duplicates("train", "train", np.full(200, 8))
    duplicates.add("0", images[0])
    duplicates.add("1", images[1])  # 2 of 200 are 1 %.
    with pytest.raises(ArchiveError, match="at least 3 of 200 train images"):
        duplicates.add("2", images[2])


def test_equal_lengths_are_not_equal_bytes():
    _add_all(_different(1000, 100)).log()


def test_three_copies_are_logged_and_pairs_are_not(caplog):
    copies = [b"three"] * 3 + [b"two"] * 2
    duplicates = _add_all(copies + _different(600))
    with caplog.at_level(logging.WARNING):
        duplicates.log()
    (record,) = caplog.records
    assert record.getMessage() == (
        "/data/train: 3 images of the train split have the same bytes (0.JPEG, 1.JPEG, "
        "2.JPEG). The dataset contains all of them."
    )


def test_many_threads_count_each_image_once(caplog):
    num_copies = 90
    images = [b"the same"] * num_copies + _different(9000 - num_copies)
    duplicates = Duplicates("train", "train", np.full(len(images), 8))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(duplicates.add, map(str, range(len(images))), images))
    with caplog.at_level(logging.WARNING):
        duplicates.log()
    assert f"train: {num_copies} images" in caplog.text
    with pytest.raises(ArchiveError):
        duplicates.add("another", b"the same")
