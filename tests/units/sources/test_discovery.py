"""What is said of a folder that has something else in an archive's place."""

from __future__ import annotations

import codecs

import pytest
from etils import epath

from imagenet2012_subset import ManualDirError
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from imagenet2012_subset.sources.discovery import (
    choose_source,
    find_source,
    find_sources,
)
from tests.shared import archives

TAR = TRAINING.file_name


@pytest.fixture
def manual_dir(tmp_path):
    return epath.Path(tmp_path)


def _problem(manual_dir: epath.Path) -> str:
    with pytest.raises(ManualDirError) as caught:
        choose_source(manual_dir, TRAINING)
    assert caught.value.path == str(manual_dir / TAR)
    assert TRAINING.how_to_get in caught.value.remedy
    return caught.value.problem


@pytest.mark.parametrize(
    "name",
    [TAR.lower(), TAR.upper(), f"{TAR}.1", TAR.replace(".tar", " (1).tar"), TAR[:-1]],
)
def test_an_archive_under_a_name_much_like_its_own(manual_dir, name):
    (manual_dir / "notes.txt").touch()
    (manual_dir / name).touch()
    assert _problem(manual_dir) == (
        f"does not exist, though there is {name!r} (rename it if it is the archive)"
    )


@pytest.mark.parametrize("end", [".part", ".crdownload", ".PARTIAL", ".aria2", ".tmp"])
def test_a_download_that_has_not_ended(manual_dir, end):
    (manual_dir / f"{TAR}{end}").touch()
    assert _problem(manual_dir) == (
        f"does not exist, though there is {TAR + end!r} (let that download finish)"
    )


def test_the_other_archive_is_not_taken_for_this_one(manual_dir):
    (manual_dir / VALIDATION.file_name).touch()
    assert _problem(manual_dir) == (
        f"does not exist (the directory has {VALIDATION.file_name})"
    )


def test_an_empty_directory(manual_dir):
    assert _problem(manual_dir) == "does not exist (the directory is empty)"


@pytest.mark.parametrize(
    ("names", "shown"), [("edcba", "a, b, c, d, e"), ("fedcba", "a, b, c, d, e, ...")]
)
def test_the_first_five_files_are_named(manual_dir, names, shown):
    for name in names:
        (manual_dir / name).touch()
    assert _problem(manual_dir) == f"does not exist (the directory has {shown})"


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b\x08", "is compressed with gzip (decompress it: gunzip)"),
        (b"BZh9", "is compressed with bzip2 (decompress it: bunzip2)"),
        (b"\xfd7zXZ\0", "is compressed with xz (decompress it: unxz)"),
        (b"(\xb5/\xfd", "is compressed with zstd (decompress it: unzstd)"),
        (b"PK\x03\x04", "is a zip file, not a tar"),
    ],
)
def test_what_is_no_tar(manual_dir, start, said):
    (manual_dir / TAR).write_bytes(start)
    assert _problem(manual_dir) == said
    if start:
        (manual_dir / TAR).write_bytes(start + bytes(1000))
        assert _problem(manual_dir) == said


@pytest.mark.parametrize("before", [b"", codecs.BOM_UTF8, b" \r\n", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "<html>", "<?xml ", "<head>"])
def test_a_web_page(manual_dir, before, start):
    (manual_dir / TAR).write_bytes(before + start.encode() + b"x" * 600)
    assert _problem(manual_dir).startswith("is a web page, not a tar")


def test_a_directory_that_is_not_there_or_none(manual_dir):
    with pytest.raises(ManualDirError) as caught:
        find_source(manual_dir / "none", TRAINING)
    assert caught.value.problem == "does not exist"
    (manual_dir / "file").touch()
    with pytest.raises(ManualDirError) as caught:
        find_source(manual_dir / "file", TRAINING)
    assert caught.value.problem == "is no directory"
    assert caught.value.path == str(manual_dir / "file")


def test_what_lies_in_an_archives_place(manual_dir):
    (manual_dir / TAR).mkdir()
    assert _problem(manual_dir) == "is a directory, but the archive itself is wanted"


def _with_archives(manual_dir: epath.Path) -> None:
    training = {"n01440764": [("n01440764_1.JPEG", b"1")]}
    validation = [(archives.validation_name(1), b"1")]
    (manual_dir / TAR).write_bytes(archives.training_tar(training))
    (manual_dir / VALIDATION.file_name).write_bytes(archives.tar_bytes(validation))


def test_the_archive_goes_before_what_was_extracted(manual_dir):
    _with_archives(manual_dir)
    choice = choose_source(manual_dir, TRAINING)
    assert choice.passed_over == ()
    assert str(choice) == f"from {manual_dir / TAR} ({choice.source.form})"
    folder = manual_dir / "train" / "n01440764"
    folder.mkdir(parents=True)
    (folder / "n01440764_1.JPEG").write_bytes(b"1")
    choice = choose_source(manual_dir, TRAINING)
    assert choice.source.path == manual_dir / TAR
    assert len(choice.passed_over) == 1
    assert f"; not the {choice.passed_over[0]})" in str(choice)
    # What is there in the archive's place is not passed over in silence.
    (manual_dir / TAR).write_bytes(b"")
    with pytest.raises(ManualDirError) as caught:
        choose_source(manual_dir, TRAINING)
    assert caught.value.remedy == (
        f"{TRAINING.how_to_get}; or move it away, to take the {choice.passed_over[0]}"
    )
    (manual_dir / TAR).unlink()
    choice = choose_source(manual_dir, TRAINING)
    assert choice.source.path == manual_dir / "train"
    assert choice.passed_over == ()


def test_which_sources_were_chosen_is_told_in_a_line(manual_dir):
    _with_archives(manual_dir)
    told: list[str] = []
    sources = find_sources(manual_dir, None, told.append)
    assert sources.training.path == manual_dir / TAR
    assert sources.validation.path == manual_dir / VALIDATION.file_name
    (line,) = told
    assert line.startswith(f"Takes training images from {manual_dir / TAR} (")
    assert f", validation images from {manual_dir / VALIDATION.file_name} (" in line
    assert len(find_sources(manual_dir).training.listing().names) == 1
