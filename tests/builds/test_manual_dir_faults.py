"""Faults of the manual directory are errors, and nothing is built."""

import bz2
import gzip
import lzma
import os
import pathlib
import re
import signal
import subprocess

import pytest

from imagenet2012_subset import ArchiveError, DatasetError, ManualDirError
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION
from tests.shared import archives, faults, forms, permissions

BOTH = pytest.mark.parametrize("original", [TRAINING, VALIDATION])


@pytest.fixture
def rule(build, small_data, tmp_path):
    return faults.Rule(build, small_data, tmp_path)


def test_clean_archives_build(rule):
    rule.builds()


def test_missing(rule, tmp_path):
    missing = tmp_path / "nowhere"
    error = rule.refuses(
        str(missing), TRAINING.file_name, VALIDATION.file_name, manual_dir=missing
    )
    assert isinstance(error, ManualDirError)
    assert "does not exist" in error.problem
    assert "image-net.org" in error.remedy


def test_empty(rule, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    error = rule.refuses(
        str(empty), TRAINING.file_name, VALIDATION.file_name, manual_dir=empty
    )
    assert isinstance(error, ManualDirError)
    assert "empty" in error.problem


def test_file_as_manual_dir(rule, small_data):
    archive = small_data.manual_dir / TRAINING.file_name
    error = rule.refuses(str(archive), manual_dir=archive)
    assert isinstance(error, ManualDirError)


@BOTH
def test_one_missing(rule, small_data, original):
    (small_data.manual_dir / original.file_name).unlink()
    other = VALIDATION if original is TRAINING else TRAINING
    error = rule.refuses(
        f"{original.file_name}: does not exist",
        f"the directory contains {other.file_name}",
        "Register on https://image-net.org/download-images",
    )
    assert isinstance(error, ManualDirError)
    assert "but" not in error.problem  # The other one is not it, renamed.


def test_swapped(rule, small_data):
    training = small_data.manual_dir / TRAINING.file_name
    validation = small_data.manual_dir / VALIDATION.file_name
    keep = small_data.manual_dir / "x"
    training.rename(keep)
    validation.rename(training)
    keep.rename(validation)
    error = rule.refuses(
        f"{TRAINING.file_name}: is missing 6 of 6 images",
        f"contains validation images, as {VALIDATION.file_name} does",
    )
    assert isinstance(error, ArchiveError)


def test_training_archive_twice(rule, small_data):
    training = small_data.manual_dir / TRAINING.file_name
    (small_data.manual_dir / VALIDATION.file_name).write_bytes(training.read_bytes())
    rule.refuses(
        f"{VALIDATION.file_name}: is missing 5 of 5 images",
        f"contains training images, as {TRAINING.file_name} does",
    )


def _put(small_data, original, content):
    (small_data.manual_dir / original.file_name).write_bytes(content)


@BOTH
def test_devkit(rule, small_data, original):
    readme = "ILSVRC2012_devkit_t12/readme.txt"
    devkit = archives.tar_bytes([(readme, b"ImageNet devkit")])
    _put(small_data, original, devkit)
    rule.refuses(
        f"{original.file_name}: is missing",
        f"no ImageNet image, but {readme}",
        original.what,
    )
    _put(small_data, original, gzip.compress(devkit))
    rule.refuses(
        f"{original.file_name}: is a gzip-compressed file, not a tar",
        f"starts with {readme}",
        original.what,
    )


@BOTH
@pytest.mark.parametrize("name", ["{}", "{}.gz", "imagenet-{}", "{}.tar"])
@pytest.mark.parametrize(
    ("compress", "what", "command"),
    [
        (gzip.compress, "a gzip-compressed file", "gzip -dc "),
        (bz2.compress, "a bzip2-compressed file", "bzip2 -dc "),
        (lzma.compress, "an xz-compressed file", "xz -dc "),
    ],
)
def test_compressed(rule, small_data, original, compress, what, command, name):
    archive = small_data.manual_dir / original.file_name
    content = compress(archive.read_bytes())
    archive.unlink()
    (small_data.manual_dir / name.format(original.file_name)).write_bytes(content)
    error = rule.refuses(f"{original.file_name}: ", f"is {what}, not a tar", command)
    assert isinstance(error, ManualDirError)
    subprocess.run(error.remedy.removeprefix("Decompress it: "), shell=True, check=True)
    rule.builds()


@BOTH
@pytest.mark.parametrize("content", [b"", b"\0" * 512, b"\0" * 10240, b"x", b"x" * 999])
def test_no_tar_at_all(rule, small_data, original, content):
    _put(small_data, original, content)
    error = rule.refuses(f"{original.file_name}: ")
    assert isinstance(error, (ManualDirError, ArchiveError))


@BOTH
def test_directory_in_its_place(rule, small_data, original):
    archive = small_data.manual_dir / original.file_name
    archive.unlink()
    (archive / "n01440764").mkdir(parents=True)
    error = rule.refuses(f"{original.file_name}: is a directory, not a tar")
    assert isinstance(error, ManualDirError)


@BOTH
def test_link(rule, small_data, tmp_path, original):
    archive = small_data.manual_dir / original.file_name
    elsewhere = tmp_path / "elsewhere.tar"
    archive.rename(elsewhere)
    archive.symlink_to(elsewhere)
    rule.builds()
    elsewhere.unlink()
    error = rule.refuses(f"{original.file_name}: is a broken link to {elsewhere}")
    assert isinstance(error, ManualDirError)


@BOTH
def test_link_to_itself(rule, small_data, original):
    archive = small_data.manual_dir / original.file_name
    archive.unlink()
    archive.symlink_to(archive.name)
    error = rule.refuses(f"{original.file_name}: is a broken link")
    assert isinstance(error, ManualDirError)


@pytest.mark.parametrize("closed", [TRAINING.file_name, VALIDATION.file_name, "."])
def test_no_read_permission(build, small_data, tmp_path, closed):
    before = faults.contents(small_data.manual_dir)
    path = small_data.manual_dir / closed
    path.chmod(0)
    try:
        with permissions.counted(), pytest.raises(DatasetError) as caught:
            build()
    finally:
        path.chmod(0o755)
    faults.assert_clear(caught.value)
    faults.assert_nothing_built(tmp_path / "data")
    assert faults.contents(small_data.manual_dir) == before
    assert str(path) in str(caught.value)
    assert "Permission denied" in caught.value.problem
    assert re.search("readable|may read", caught.value.remedy)


@pytest.mark.parametrize("original", [TRAINING, VALIDATION])
@pytest.mark.parametrize("what", ["a FIFO", "a character device", "a directory"])
def test_an_archive_is_not_a_file(build, small_data, tmp_path, original, what):
    path = small_data.manual_dir / original.file_name
    path.unlink()
    if what == "a FIFO":
        os.mkfifo(path)
    elif what == "a directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    signal.alarm(60)  # To open a FIFO may take for ever.
    try:
        with pytest.raises(ManualDirError) as caught:
            build(data_dir=tmp_path / "none")
        assert main(["check", str(small_data.manual_dir)]) == 1
    finally:
        signal.alarm(0)
    faults.assert_clear(caught.value)
    faults.assert_nothing_built(tmp_path / "none")
    assert caught.value.path == str(path)
    assert what in caught.value.problem


def test_an_unusable_tar_beside_a_tree(build, small_data):
    path = small_data.manual_dir / TRAINING.file_name
    forms.training_tree("train")(small_data, small_data.manual_dir)
    path.write_bytes(b"")
    with pytest.raises(ManualDirError) as caught:
        build()
    assert caught.value.path == str(path)
    assert f"to use the images in {small_data.manual_dir}/train" in caught.value.remedy


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "does not exist"),
        (pathlib.Path.touch, "is "),
    ],
)
def test_check_of_what_is_not_a_directory(tmp_path, capsys, make, said):
    path = tmp_path / "nowhere"
    make(path)
    assert main(["check", str(path)]) == 1
    printed = "".join(capsys.readouterr())
    assert f"nowhere: {said}" in printed
    assert "is empty" not in printed


def test_check_of_a_list_that_is_a_fifo(small_data, capsys):
    os.mkfifo(small_data.manual_dir / "1percent.txt")
    assert main(["check", str(small_data.manual_dir)]) == 1
    assert "1percent.txt: is a FIFO" in capsys.readouterr().out


def test_a_file_url(build, small_data, tmp_path):
    right = faults.shards(build())
    url = small_data.manual_dir.as_uri()
    assert url.startswith("file:///")
    built = build(manual_dir=url, data_dir=tmp_path / "from_url")
    assert faults.shards(built) == right


@pytest.mark.parametrize("url", ["https://host/imagenet", "http://host", "ftp://host"])
def test_a_url_that_cannot_be_read(build, tmp_path, capsys, url):
    with pytest.raises(ManualDirError) as caught:
        build(manual_dir=url)
    faults.assert_nothing_built(tmp_path / "data")
    assert str(caught.value).startswith(f"{url}: is a ")
    assert "URL, which cannot be read" in caught.value.problem
    assert main(["check", url]) == 1
    assert str(caught.value) in capsys.readouterr().err
