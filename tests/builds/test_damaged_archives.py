"""Damage in an archive is an error, unless it affects no requested image."""

import random

import pytest

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from tests.shared import archives, faults

BOTH = pytest.mark.parametrize("original", [TRAINING, VALIDATION])

LISTED = "n01443537_7.JPEG"  # In the middle synset; the others are at the ends.
UNLISTED = "n01443537_2.JPEG"
LISTED_VALIDATION = archives.validation_name(1)


def _archive(small_data, original):
    path = small_data.manual_dir / original.file_name
    return path, path.read_bytes()


@BOTH
def test_cut_anywhere(small_data, original):
    read_rule = faults.ReadRule(small_data, original)
    content = read_rule.content
    places = faults.places(content)
    edges = {
        edge for p in places for edge in (p.header, p.data, p.data + p.size, p.end)
    }
    points = {edge + shift for edge in edges for shift in (-1, 0, 1, 200)}
    last = max(place.data + place.size for place in places)
    outcomes = {
        point: read_rule.outcome(content[:point])
        for point in points
        if 0 <= point < len(content)
    }
    assert len(outcomes) > 60
    # The end blocks of an archive may be missing.
    assert min(point for point, error in outcomes.items() if not error) >= last


@BOTH
def test_a_cut_while_building(rule, small_data, original):
    path, content = _archive(small_data, original)
    path.write_bytes(content[:-1024])  # The last end blocks may be missing.
    rule.builds()
    image = faults.places(content)[-1]
    path.write_bytes(content[: image.data + image.size // 2])
    rule.refuses(original.file_name)


@BOTH
@pytest.mark.parametrize("fill", [bytes, random.Random(0).randbytes])
def test_hole_anywhere(small_data, original, fill):
    read_rule = faults.ReadRule(small_data, original)
    content = read_rule.content
    holes = [
        faults.overwritten(content, offset, fill(2048))
        for offset in range(0, len(content) - 2048, 512)
    ]
    assert sum(read_rule.outcome(hole) is not None for hole in holes) > 10


WANTED = pytest.mark.parametrize(
    ("original", "name"), [(TRAINING, LISTED), (VALIDATION, LISTED_VALIDATION)]
)


def _replace(small_data, name, change):
    """Writes the archives with a different content of one image."""
    small_data.training = {
        wnid: [(n, change(data) if n == name else data) for n, data in images]
        for wnid, images in small_data.training.items()
    }
    small_data.validation = [
        (n, change(data) if n == name else data) for n, data in small_data.validation
    ]
    small_data.write()


@WANTED
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: bytes(len(data)), "contains only zeros"),
        # TensorFlow's decoder does not notice that this image is cut off.
        (lambda data: archives.jpeg(25)[:-1], "is cut off"),
    ],
    ids=["zeros", "cut off"],
)
def test_a_requested_image_is_damaged(
    rule, small_data, original, name, change, problem
):
    _replace(small_data, name, change)
    error = rule.refuses(original.file_name, name, problem, "sha256")
    assert isinstance(error, ArchiveError)


@pytest.mark.usefixtures("converted_here")
def test_a_damaged_image_that_is_to_be_converted(rule, small_data):
    name = "n02105855_2933.JPEG"
    small_data.training["n02105855"] = [(name, b"\x89PNG\r\n\x1a\n")]
    small_data.write()
    small_data.subset_list.write_text(name)
    rule.refuses(f"{TRAINING.file_name}: {name}", "cannot be converted")


def test_damage_of_unlisted_images_only(rule, small_data):
    listed = set(small_data.listed)
    small_data.training = {
        wnid: [(name, data if name in listed else b"text") for name, data in images]
        for wnid, images in small_data.training.items()
    }
    small_data.write()
    rule.builds()


def test_damaged_header_of_an_unlisted_image(rule, small_data):
    # Then the offset of the next header is unknown.
    path, content = _archive(small_data, TRAINING)
    (place,) = [one for one in faults.places(content) if one.name == UNLISTED]
    path.write_bytes(faults.overwritten(content, place.header, b"\xff"))
    rule.refuses(TRAINING.file_name, f"no valid tar header at byte {place.header:,}")


def test_an_archive_changes_between_plan_and_write(small_data, error_of_change):
    path = small_data.manual_dir / VALIDATION.file_name
    error = error_of_change(lambda: path.write_bytes(path.read_bytes()))
    assert "was written to or replaced" in error.problem
