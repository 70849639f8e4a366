"""Where the dataset cannot be written: space is short, or it may not be."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import resource
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from imagenet2012_subset import WriteError
from imagenet2012_subset.write import local
from tests.shared import archives, permissions

FORMATS = pytest.mark.parametrize(
    "file_format", ["tfrecord", "array_record", "parquet"]
)


def _folder(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "imagenet2012_subset" / "small"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_short_space_is_told_before_anything_is_written(build, small_disk):
    with pytest.raises(WriteError, match="bytes free, but the dataset takes"):
        build(data_dir=small_disk)
    assert not (_folder(small_disk) / "5.0.0").exists()


def test_space_that_is_not_free_is_not_counted_on(build, tmp_path, monkeypatch):
    """As before, on a disk that says so, which takes no root."""
    usage = collections.namedtuple("usage", "total used free")
    free = usage(1 << 40, (1 << 40) - (1 << 20), 1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    with pytest.raises(WriteError, match=r"1,048,576 bytes free, but .* takes") as told:
        build()
    assert "Free " in told.value.remedy
    assert not list(_folder(tmp_path / "data").glob("[!.]*5.0.0*"))


@pytest.fixture
def long_shards(small_data):
    """Makes the validation split some 300 kB long, in three images."""
    big = [
        (archives.validation_name(n), archives.jpeg(n, (400, 300))) for n in (1, 2, 3)
    ]
    (small_data.manual_dir / "ILSVRC2012_img_val.tar").write_bytes(
        archives.tar_bytes(big)
    )


@FORMATS
def test_a_disk_that_fills_up_meanwhile(
    build, long_shards, small_disk, tmp_path, monkeypatch, file_format
):
    (small_disk / "other_file").write_bytes(bytes(850_000))
    # As if others had written meanwhile what was free at the start.
    monkeypatch.setattr(local, "free_bytes", lambda folder: 1 << 40)
    with pytest.raises(WriteError, match="cannot be written") as raised:
        build(
            data_dir=small_disk,
            download_dir=tmp_path / "downloads",
            validation_images=3,
            file_format=file_format,
        )
    assert "tfrecord" in raised.value.path or file_format in raised.value.path
    assert not list(_folder(small_disk).glob("[!.]*5.0.0*"))


@contextlib.contextmanager
def _no_file_longer_than(num_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@FORMATS
def test_a_shard_that_the_user_may_not_write_so_long(
    build, long_shards, tmp_path, file_format
):
    with (
        _no_file_longer_than(200_000),
        pytest.raises(WriteError, match="cannot be written") as raised,
    ):
        build(validation_images=3, file_format=file_format)
    assert "File too large" in str(raised.value)
    assert file_format in raised.value.path
    assert "validation" in raised.value.path
    assert not list(_folder(tmp_path / "data").glob("[!.]*5.0.0*"))


def test_a_read_only_disk(build, small_disk, tmp_path):
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    with pytest.raises(WriteError, match="Read-only file system") as raised:
        build(data_dir=small_disk, download_dir=tmp_path / "downloads")
    assert str(small_disk) in raised.value.path


@pytest.mark.parametrize("closed", [".", "imagenet2012_subset/small"])
def test_a_folder_that_the_user_may_not_write_to(build, tmp_path, closed):
    data_dir = tmp_path / "data"
    (data_dir / closed).mkdir(parents=True)
    (data_dir / closed).chmod(0o555)
    with (
        permissions.counted(),
        pytest.raises(WriteError, match="Permission denied") as raised,
    ):
        build(data_dir=data_dir, download_dir=tmp_path / "downloads")
    assert str(data_dir) in raised.value.path
    assert "data_dir" in raised.value.remedy
    assert not list(data_dir.rglob("[!.]*5.0.0*"))
