"""Faults of the manual directory are errors, and nothing is built."""

import bz2
import gzip
import lzma
import os
import re
import signal
import subprocess

import pytest

from imagenet2012_subset import ArchiveError, ManualDirError
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from tests.builds import file_faults
from tests.shared import faults

BOTH = pytest.mark.parametrize("original", [TRAINING, VALIDATION])


@pytest.mark.parametrize("fault", ["missing", "empty", "a file"])
def test_manual_dir_itself(rule, tmp_path, fault, capsys):
    folder = tmp_path / "nowhere"
    if fault == "empty":
        folder.mkdir()
        words = ["is empty", "Pass the directory that contains ImageNet"]
    elif fault == "a file":
        folder.touch()
        words = ["is a file, not a directory"]
    else:
        words = ["does not exist", "DownloadConfig(manual_dir=...)", "--manual_dir"]
        words += ["image-net.org", VALIDATION.file_name]
    error = rule.refuses(str(folder), *words, manual_dir=folder)
    assert isinstance(error, ManualDirError)
    if fault != "empty":
        assert main(["check", str(folder)]) == 1
        printed = "".join(capsys.readouterr())
        assert "nowhere: " in printed
        assert "is empty" not in printed


@BOTH
def test_one_archive_is_missing(rule, small_data, original):
    (small_data.manual_dir / original.file_name).unlink()
    other = VALIDATION if original is TRAINING else TRAINING
    error = rule.refuses(
        f"{original.file_name}: does not exist",
        f"the directory contains {other.file_name}",
        "Register on https://image-net.org/download-images",
    )
    assert isinstance(error, ManualDirError)
    assert "but" not in error.problem  # It is not suggested to rename the other one.


def test_listed_images_that_the_archive_does_not_contain(rule, small_data):
    absent = [f"n01440764_{number}.JPEG" for number in (105, 103, 104, 101, 102)]
    small_data.subset_list.write_text("\n".join([*small_data.listed, *absent]))
    error = rule.refuses(
        f"{TRAINING.file_name}: is missing 5 of 11 images (n01440764_101.JPEG, "
        "n01440764_102.JPEG, n01440764_103.JPEG, ...)",
        "it has 40,960 bytes, the original 147,897,477,120",
        "contains 3 of 1,000 synsets",
        TRAINING.how_to_get,
    )
    assert isinstance(error, ArchiveError)


@pytest.mark.parametrize(
    ("compress", "what", "command", "name"),
    [
        (gzip.compress, "a gzip-compressed file", "gzip -dc ", "{}"),
        (bz2.compress, "a bzip2-compressed file", "bzip2 -dc ", "{}.gz"),
        (lzma.compress, "an xz-compressed file", "xz -dc ", "imagenet-{}"),
    ],
)
def test_advice_for_a_compressed_archive(
    rule, small_data, compress, what, command, name
):
    archive = small_data.manual_dir / TRAINING.file_name
    content = compress(archive.read_bytes())
    archive.unlink()
    (small_data.manual_dir / name.format(archive.name)).write_bytes(content)
    error = rule.refuses(f"{archive.name}: ", f"is {what}, not a tar", command)
    assert isinstance(error, ManualDirError)
    subprocess.run(error.remedy.removeprefix("Decompress it: "), shell=True, check=True)
    rule.builds()


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (file_faults.empty, "is empty"),
        (file_faults.zeros, "is missing 6 of 6 images"),
        (file_faults.directory, "is a directory, not a tar"),
        (file_faults.fifo, "is a FIFO, not a tar"),
        (file_faults.device, "is a character device, not a tar"),
        (file_faults.broken_link, "is a broken link to gone"),
        (file_faults.link_to_itself, "is a broken link to"),
    ],
)
def test_something_else_in_an_archives_place(rule, small_data, fault, problem, capsys):
    path = small_data.manual_dir / TRAINING.file_name
    fault(path)
    signal.alarm(300)  # Opening a FIFO would block forever.
    try:
        error = rule.refuses(f"{path}: {problem}")
        assert main(["check", str(small_data.manual_dir)]) == 1
    finally:
        signal.alarm(0)
    assert isinstance(error, (ManualDirError, ArchiveError))
    assert error.path == str(path)


def test_links_to_archives(rule, small_data, tmp_path):
    for archive in [*small_data.manual_dir.iterdir()]:
        archive.rename(tmp_path / archive.name)
        archive.symlink_to(tmp_path / archive.name)
    rule.builds()


@pytest.mark.parametrize("closed", [TRAINING.file_name, VALIDATION.file_name, "."])
def test_no_permission(small_data, error_without_permission, closed):
    error = error_without_permission(small_data.manual_dir / closed)
    assert re.search("readable|may read", error.remedy)


def test_check_of_a_list_that_is_a_fifo(small_data, capsys):
    os.mkfifo(small_data.manual_dir / "1percent.txt")
    assert main(["check", str(small_data.manual_dir)]) == 1
    assert "1percent.txt: is a FIFO" in capsys.readouterr().out


def test_a_file_url(build, small_data, tmp_path):
    url = small_data.manual_dir.as_uri()
    assert url.startswith("file:///")
    built = build(manual_dir=url, data_dir=tmp_path / "from_url")
    assert faults.shards(built) == faults.shards(build())


@pytest.mark.parametrize("url", ["https://host/imagenet", "ftp://host"])
def test_a_url_that_cannot_be_read(build, tmp_path, capsys, url):
    with pytest.raises(ManualDirError) as caught:
        build(manual_dir=url)
    faults.assert_nothing_built(tmp_path / "data")
    assert str(caught.value).startswith(f"{url}: is a ")
    assert "URL, which cannot be read" in caught.value.problem
    assert main(["check", url]) == 1
    assert str(caught.value) in capsys.readouterr().err
