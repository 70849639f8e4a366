"""Faults in synset tars are errors, and nothing is built."""

import os
from unittest import mock

import pytest

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.imagenet.names import TRAINING
from imagenet2012_subset.sources import synset_tars
from tests.builds import file_faults
from tests.shared import archives, faults, forms

WNID = "n01443537"


@pytest.fixture
def folder(rule, small_data):
    """The folder with synset tars, which replace the training tar."""
    (small_data.manual_dir / TRAINING.file_name).unlink()
    forms.synset_tars("train")(small_data, small_data.manual_dir)
    return small_data.manual_dir / "train"


def test_missing_images(rule, folder, small_data):
    path = folder / f"{WNID}.tar"
    path.write_bytes(archives.tar_bytes(small_data.training[WNID][1:]))
    rule.refuses(f"{folder}: is missing 1 of 6 images ({WNID}_7.JPEG)")
    path.unlink()
    error = rule.refuses(
        f"{folder}: is missing 2 of 6 images ({WNID}_30.JPEG, {WNID}_7.JPEG)",
        "it has 2 synset tars (n01440764.tar, n15075141.tar)",
        "contains 2 of 1,000 synsets",
        "Extract ILSVRC2012_img_train.tar again",
    )
    assert isinstance(error, ArchiveError)


def test_images_more_than_once(rule, folder, small_data):
    (folder / "n99999999.tar").write_bytes(b"of no synset, and not read")
    rule.builds()
    both = small_data.training["n01440764"] + small_data.training[WNID]
    (folder / "n01440764.tar").write_bytes(archives.tar_bytes(both))
    rule.refuses("contains 2 images more than once")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (file_faults.fifo, "is a FIFO, not a tar"),
        (file_faults.directory, "is a directory, not a tar"),
        (file_faults.empty, "is empty"),
        (file_faults.broken_link, "is a broken link to gone"),
        (file_faults.link_to_itself, "is a broken link to"),
        (file_faults.cut_off, "is cut off or damaged"),
        (file_faults.noise, "has no valid tar header at byte 0 of 10,240"),
        (file_faults.web_page, "is a web page, not a tar"),
    ],
)
def test_something_else_in_the_place_of_a_tar(rule, folder, fault, problem):
    fault(folder / f"{WNID}.tar")
    error = rule.refuses(f"{folder / WNID}.tar: {problem}")
    # Nobody downloads a synset tar.
    assert error.remedy == f"Extract this tar again from {TRAINING.file_name}"


def test_a_damaged_image_is_named_with_its_tar(rule, folder):
    path = folder / "n15075141.tar"
    content = path.read_bytes()
    (place, *_) = [p for p in faults.places(content) if p.name == "n15075141_30.JPEG"]
    zeros = bytes(place.size)
    path.write_bytes(faults.overwritten(content, place.data, zeros))
    rule.refuses(
        f"{path}: {place.name}, {place.size:,} bytes at byte {place.data:,}, "
        "contains only zeros"
    )


@pytest.mark.parametrize(
    "fault", [file_faults.cut_off, file_faults.fifo, file_faults.deleted]
)
def test_a_tar_changes_between_plan_and_write(folder, error_of_change, fault):
    error = error_of_change(lambda: fault(folder / f"{WNID}.tar"))
    assert error.path.startswith(str(folder))


def test_the_index_until_a_tar_changes(rule, folder, small_data, tmp_path, monkeypatch):
    walks = mock.Mock(side_effect=synset_tars.walk_tars)
    monkeypatch.setattr(synset_tars, "walk_tars", walks)
    rule.builds(download_dir=tmp_path / "downloads")
    rule.builds(download_dir=tmp_path / "downloads")
    assert walks.call_count == 1
    # The same images at other offsets, with the same modification time.
    path = folder / f"{WNID}.tar"
    times = path.stat()
    path.write_bytes(archives.tar_bytes(small_data.training[WNID][::-1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    rule.builds(download_dir=tmp_path / "downloads")
    assert walks.call_count == 2
