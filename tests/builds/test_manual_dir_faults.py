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
from tests.shared import archives, faults, forms

BOTH = pytest.mark.parametrize("original", [TRAINING, VALIDATION])


@pytest.mark.parametrize("fault", ["missing", "empty", "a file"])
def test_manual_dir_itself(rule, tmp_path, fault, capsys):
    folder = tmp_path / "nowhere"
    if fault == "empty":
        folder.mkdir()
        words = ["is empty"]
    elif fault == "a file":
        folder.touch()
        words = ["is a file, not a directory"]
    else:
        words = ["does not exist", "image-net.org", VALIDATION.file_name]
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


def test_a_validation_image_is_missing(rule, small_data):
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


def test_swapped_archives(rule, small_data):
    training, validation = (
        small_data.manual_dir / one.file_name for one in (TRAINING, VALIDATION)
    )
    data = training.read_bytes()
    validation.replace(training)
    validation.write_bytes(data)
    rule.refuses(
        f"{TRAINING.file_name}: is missing 6 of 6 images",
        f"contains validation images, as {VALIDATION.file_name} does",
    )


@BOTH
@pytest.mark.parametrize("name", ["{}", "{}.gz", "imagenet-{}"])
@pytest.mark.parametrize(
    ("compress", "what", "command"),
    [
        (gzip.compress, "a gzip-compressed file", "gzip -dc "),
        (bz2.compress, "a bzip2-compressed file", "bzip2 -dc "),
        (lzma.compress, "an xz-compressed file", "xz -dc "),
    ],
)
def test_the_advice_for_a_compressed_archive_works(
    rule, small_data, original, compress, what, command, name
):
    archive = small_data.manual_dir / original.file_name
    content = compress(archive.read_bytes())
    archive.unlink()
    (small_data.manual_dir / name.format(original.file_name)).write_bytes(content)
    error = rule.refuses(f"{original.file_name}: ", f"is {what}, not a tar", command)
    assert isinstance(error, ManualDirError)
    subprocess.run(error.remedy.removeprefix("Decompress it: "), shell=True, check=True)
    rule.builds()


def _write(content):
    return lambda path: path.write_bytes(content)


_README = "ILSVRC2012_devkit_t12/readme.txt"
_DEVKIT = archives.tar_bytes([(_README, b"ImageNet devkit")])


@BOTH
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (file_faults.empty, ["is empty"]),
        (_write(bytes(10240)), ["is missing", "it has 10,240 bytes"]),
        (file_faults.text, ["is a text file", ", not a tar ('xxx"]),
        (_write(_DEVKIT), ["is missing", f"no ImageNet image, but {_README}"]),
        (
            _write(gzip.compress(_DEVKIT)),
            ["is a gzip-compressed file, not a tar", f"starts with {_README}"],
        ),
        (file_faults.directory, ["is a directory, not a tar"]),
        (file_faults.fifo, ["is a FIFO, not a tar"]),
        (file_faults.device, ["is a character device, not a tar"]),
        (file_faults.broken_link, ["is a broken link to gone"]),
        (file_faults.link_to_itself, ["is a broken link to"]),
    ],
)
def test_something_else_in_the_place_of_an_archive(
    rule, small_data, original, fault, words, capsys
):
    path = small_data.manual_dir / original.file_name
    fault(path)
    signal.alarm(300)  # Opening a FIFO would block forever.
    try:
        error = rule.refuses(f"{path}: {words[0]}", *words[1:])
        assert main(["check", str(small_data.manual_dir)]) == 1
    finally:
        signal.alarm(0)
    assert isinstance(error, (ManualDirError, ArchiveError))
    assert error.path == str(path)


@BOTH
def test_a_link_to_an_archive(rule, small_data, tmp_path, original):
    archive = small_data.manual_dir / original.file_name
    archive.rename(tmp_path / "elsewhere.tar")
    archive.symlink_to(tmp_path / "elsewhere.tar")
    rule.builds()


@pytest.mark.parametrize("closed", [TRAINING.file_name, VALIDATION.file_name, "."])
def test_no_permission(small_data, error_without_permission, closed):
    error = error_without_permission(small_data.manual_dir / closed)
    assert re.search("readable|may read", error.remedy)


def test_an_unusable_tar_beside_a_tree(rule, small_data):
    path = small_data.manual_dir / TRAINING.file_name
    forms.training_tree("train")(small_data, small_data.manual_dir)
    path.write_bytes(b"")
    error = rule.refuses(f"to use the images in {small_data.manual_dir}/train")
    assert error.path == str(path)


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
