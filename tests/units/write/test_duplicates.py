"""The same bytes under several names: a warning, and an error where they are many."""

import concurrent.futures
import logging

import numpy as np
import pytest

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.write.shard import Duplicates


def _added(images: list[bytes]) -> Duplicates:
    sizes = np.array([len(data) for data in images], np.int64)
    duplicates = Duplicates("/data/train", "train", sizes)
    for number, data in enumerate(images):
        duplicates.add(f"{number}.JPEG", data)
    return duplicates


def _different(number: int, size: int = 8) -> list[bytes]:
    return [index.to_bytes(size, "big") for index in range(1, number + 1)]


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize(
    ("copies", "num_images"),
    [
        ([b"the same"] * 2, 2),  # One pair, in a small split.
        ([b"the same"] * 1, 1000),
        ([b"the same"] * 3, 300),
        ([b"a", b"a", b"b", b"b", b"c", b"c"], 600),
        ([b"%d" % (number % 25) for number in range(100)], 500),  # A test archive.
    ],
)
def test_few_copies_are_accepted(copies, num_images, size):
    _added(copies + _different(num_images - len(copies), size)).finish()


@pytest.mark.parametrize(
    ("copies", "num_images"),
    [
        ([b"photo no longer available"] * 20, 200),
        ([b"photo no longer available"] * 150, 200),
        ([b"photo no longer available"] * 3, 299),
        ([b"a", b"a", b"b", b"b", b"c", b"c"], 599),
        ([b"%d" % (number % 9) for number in range(450)], 450),
        ([b"the same"] * 3, 3),
    ],
)
def test_more_than_one_percent_is_refused(copies, num_images):
    duplicates = _added(copies + _different(num_images - len(copies)))
    with pytest.raises(ArchiveError) as caught:
        duplicates.finish()
    assert caught.value.path == "/data/train"
    expected = f"{len(copies)} of {num_images} train images share their bytes"
    assert expected in caught.value.problem
    assert "for example 0.JPEG, " in caught.value.problem


def test_three_copies_are_logged_and_pairs_are_not(caplog):
    with caplog.at_level(logging.WARNING):
        _added([b"two"] * 2 + _different(600)).finish()
        assert not caplog.records
        _added([b"three"] * 3 + _different(600)).finish()
    (record,) = caplog.records
    assert record.getMessage() == (
        "/data/train: 3 of 603 train images share their bytes with another one, for "
        "example 0.JPEG, 1.JPEG, 2.JPEG. The dataset contains all."
    )


def test_many_threads_count_each_image_once(caplog):
    num_copies = 90
    images = [b"the same"] * num_copies + _different(9000 - num_copies)
    duplicates = Duplicates("train", "train", np.full(len(images), 8))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(duplicates.add, map(str, range(len(images))), images))
    with caplog.at_level(logging.WARNING):
        duplicates.finish()
    assert f"train: {num_copies} of 9,000 train images" in caplog.text
