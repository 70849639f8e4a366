"""Faults in synset tars are errors, and nothing is built."""

import gzip
import os
import pathlib
import resource
import shutil

import pytest

from imagenet2012_subset import (
    ArchiveError,
    imagenet2012_subset_dataset_builder as builder_module,
)
from imagenet2012_subset.imagenet.originals import TRAINING
from imagenet2012_subset.sources import synset_tars
from tests.shared import archives, faults, forms

WNID = "n01443537"


@pytest.fixture
def tars(build, small_data, tmp_path):
    """Synset tars in place of the training tar: the rule for them, and their folder."""
    rule = faults.Rule(build, small_data, tmp_path)
    (small_data.manual_dir / TRAINING.file_name).unlink()
    forms.synset_tars("train")(small_data, small_data.manual_dir)
    rule.builds()
    return rule, small_data.manual_dir / "train"


def test_one_is_missing(tars):
    rule, folder = tars
    (folder / f"{WNID}.tar").unlink()
    error = rule.refuses(
        f"{folder}: is missing 2 of 6 images ({WNID}_30.JPEG, {WNID}_7.JPEG)",
        "it has 2 synset tars (n01440764.tar, n15075141.tar)",
        "contains 2 of 1,000 synsets",
        "Extract ILSVRC2012_img_train.tar again",
    )
    assert isinstance(error, ArchiveError)


def test_an_image_is_missing(tars, small_data):
    rule, folder = tars
    tar = archives.tar_bytes(small_data.training[WNID][1:])
    (folder / f"{WNID}.tar").write_bytes(tar)
    rule.refuses(f"is missing 1 of 6 images ({WNID}_7.JPEG)")


def test_an_image_twice(tars, small_data):
    rule, folder = tars
    (folder / "n99999999.tar").write_bytes(b"of no synset, so not looked at")
    rule.builds()
    both = small_data.training["n01440764"] + small_data.training[WNID]
    (folder / "n01440764.tar").write_bytes(archives.tar_bytes(both))
    rule.refuses("contains 2 images more than once")


def _fifo(path):
    path.unlink()
    os.mkfifo(path)


def _directory(path):
    path.unlink()
    path.mkdir()


def _empty(path):
    os.truncate(path, 0)


def _dangling_link(path):
    path.unlink()
    path.symlink_to("gone.tar")


def _link_loop(path):
    path.unlink()
    path.symlink_to(path)


def _cut_off(path):
    os.truncate(path, 1500)


def _garbage(path):
    path.write_bytes(b"x" * 10240)


def _noise(path):
    path.write_bytes(b"\1\2\3\4" * 2560)


def _gzip(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


def _web_page(path):
    path.write_bytes(b"<html>404</html>")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (_fifo, "is a FIFO, not a tar"),
        (_directory, "is a directory, not a tar"),
        (_empty, "is empty"),
        (_dangling_link, "is a broken link to gone.tar"),
        (_link_loop, "is a broken link to"),
        (_cut_off, "is cut off or damaged"),
        (_garbage, "is a text file, not a tar"),
        (_noise, "has no valid tar header at byte 0 of 10,240"),
        (_gzip, "is a gzip-compressed file, not a tar"),
        (_web_page, "is a web page, not a tar"),
    ],
)
def test_one_is_no_tar(tars, fault, said):
    rule, folder = tars
    fault(folder / f"{WNID}.tar")
    error = rule.refuses(f"{folder / WNID}.tar: {said}")
    # Nobody downloads a synset tar.
    assert error.remedy == f"Extract this tar again from {TRAINING.file_name}"


def test_any_byte_of_a_header_flips(tars):
    rule, folder = tars
    path = folder / f"{WNID}.tar"
    content = path.read_bytes()
    for offset in (0, 130, 150, 257):
        flipped = bytes([content[offset] ^ 1])
        path.write_bytes(faults.overwritten(content, offset, flipped))
        rule.refuses(f"{path}: has no valid tar header at byte 0")


def test_a_damaged_image_is_named_with_its_tar(tars):
    rule, folder = tars
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
    "fault", [_empty, _cut_off, _fifo, _directory, _link_loop, pathlib.Path.unlink]
)
def test_one_changes_between_plan_and_write(build, tars, tmp_path, monkeypatch, fault):
    _, folder = tars
    write_splits = builder_module.write_splits

    def change_and_write(*args, **kwargs):
        fault(folder / f"{WNID}.tar")
        return write_splits(*args, **kwargs)

    monkeypatch.setattr(builder_module, "write_splits", change_and_write)
    with pytest.raises(ArchiveError) as caught:
        build(data_dir=tmp_path / "changed")
    faults.assert_clear(caught.value)
    faults.assert_nothing_built(tmp_path / "changed")
    assert caught.value.path.startswith(str(folder))


def test_the_index_is_used_until_one_changes(
    build, tars, small_data, tmp_path, monkeypatch
):
    _, folder = tars
    data_dir = tmp_path / "kept"
    walked = []
    walk_tars = synset_tars.walk_tars

    def count(*args, **kwargs):
        walked.append(args)
        return walk_tars(*args, **kwargs)

    monkeypatch.setattr(synset_tars, "walk_tars", count)
    first = faults.shards(build(data_dir=data_dir))
    shutil.rmtree(data_dir / "imagenet2012_subset")
    assert faults.shards(build(data_dir=data_dir)) == first
    assert len(walked) == 1
    # The same images at other places, and the time of modification as it was.
    path = folder / f"{WNID}.tar"
    times = path.stat()
    path.write_bytes(archives.tar_bytes(small_data.training[WNID][::-1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.rmtree(data_dir / "imagenet2012_subset")
    assert faults.shards(build(data_dir=data_dir)) == first
    assert len(walked) == 2


def test_fewer_open_files_than_tars(build, tars, small_data, tmp_path):
    _, folder = tars
    right = faults.shards(build(data_dir=tmp_path / "right"))
    for number, wnid in enumerate(forms.names.wnids()[::5]):
        path = folder / f"{wnid}.tar"
        if not path.exists():
            image = [(f"{wnid}_1.JPEG", archives.jpeg(number))] * 2
            path.write_bytes(archives.tar_bytes(image))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 40, hard))
    try:
        assert faults.shards(build(data_dir=tmp_path / "few")) == right
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
