"""Disks that are full, fail or are read-only; and what is synced when."""

from __future__ import annotations

import collections
import errno
import os
import pathlib
import resource
import shutil
import subprocess
from unittest import mock

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.write import local
from imagenet2012_subset.write.staging import sync_file, sync_folder
from tests.builds.conftest import run_program
from tests.shared import archives, faults, limits, permissions
from tests.shared.final_place import contents, names_in

FORMATS = pytest.mark.parametrize(
    "file_format", ["tfrecord", "array_record", "parquet"]
)
_OVERWRITE = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
_MIB = 1 << 20
_DESCRIPTORS = pathlib.Path("/proc/self/fd")
needs_proc = pytest.mark.skipif(
    not _DESCRIPTORS.exists(), reason="needs the paths of descriptors in Linux's /proc"
)


def _path_of(descriptor: int) -> pathlib.Path:
    return (_DESCRIPTORS / str(descriptor)).readlink()


def test_the_space_needed_is_that_of_the_records(build, monkeypatch, tmp_path):
    folder = pathlib.Path(build(data_dir=tmp_path / "other").data_path)
    shards = sum(path.stat().st_size for path in folder.glob("*.tfrecord*"))
    usage = collections.namedtuple("usage", "total used free")

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, free))

    leave(_MIB + shards - 1)  # One MiB is for all other files.
    with pytest.raises(WriteError, match="bytes free, but the dataset takes") as raised:
        build()
    assert raised.value.remedy.startswith("Free 1 bytes")
    faults.assert_nothing_built(tmp_path / "data")
    leave(_MIB + shards)
    assert build().is_prepared()


@pytest.fixture
def long_shard(small_data) -> None:
    """Makes the validation split about 300 kB long, in three images."""
    big = [
        (archives.validation_name(n), archives.jpeg(n, (400, 300))) for n in (1, 2, 3)
    ]
    (small_data.manual_dir / "ILSVRC2012_img_val.tar").write_bytes(
        archives.tar_bytes(big)
    )


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


@pytest.mark.usefixtures("long_shard")
def test_a_disk_that_fills_up_during_the_build(
    build, small_disk, tmp_path, monkeypatch
):
    (small_disk / "other_file").write_bytes(bytes(850_000))
    # As if the disk had been empty at the start.
    monkeypatch.setattr(local, "free_bytes", lambda folder: 1 << 40)
    with pytest.raises(WriteError, match="cannot be written") as raised:
        build(
            data_dir=small_disk,
            download_dir=tmp_path / "downloads",
            validation_images=3,
        )
    assert "tfrecord" in raised.value.path
    faults.assert_nothing_built(small_disk)


@FORMATS
@pytest.mark.usefixtures("long_shard")
def test_a_shard_that_is_longer_than_the_users_limit(build, tmp_path, file_format):
    with (
        limits.limited(resource.RLIMIT_FSIZE, 200_000),
        pytest.raises(WriteError, match="cannot be written") as raised,
    ):
        build(validation_images=3, file_format=file_format)
    assert "File too large" in str(raised.value)
    assert file_format in raised.value.path
    assert "validation" in raised.value.path
    faults.assert_nothing_built(tmp_path / "data")


@pytest.mark.parametrize("closed", [".", "imagenet2012_subset/small"])
def test_a_folder_that_the_user_may_not_write_to(build, tmp_path, closed):
    data_dir = tmp_path / "data"
    (data_dir / closed).mkdir(parents=True)
    (data_dir / closed).chmod(0o555)
    with (
        permissions.counted(),
        pytest.raises(WriteError, match="Permission denied") as raised,
    ):
        build(download_dir=tmp_path / "downloads")
    assert str(data_dir) in raised.value.path
    assert "data_dir" in raised.value.remedy
    faults.assert_nothing_built(data_dir)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("option", ["data_dir", "download_dir"])
def test_a_file_where_a_folder_should_be(build, tmp_path, option, below):
    file = tmp_path / "file"
    file.write_text("notes")
    with pytest.raises(WriteError, match="is a file") as raised:
        build(**{option: file / "folder" if below else file})
    assert raised.value.path == str(file)
    assert file.read_text() == "notes"
    faults.assert_nothing_built(tmp_path / "data")


def test_a_broken_link_as_data_dir(build, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "not_mounted")
    with pytest.raises(WriteError, match="broken link") as raised:
        build(data_dir=link)
    assert raised.value.path == str(link)
    assert not (tmp_path / "not_mounted").exists()


@pytest.mark.parametrize("name", ["mkdir", "rename"])
def test_a_read_only_disk(build, tmp_path, final, monkeypatch, name):
    call = getattr(os, name)

    def fail(*args, **kwargs):
        if "imagenet2012_subset/small" in str(args[0]):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return call(*args, **kwargs)

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(WriteError, match="Read-only file system") as raised:
        build()
    assert raised.value.path == str(final)
    faults.assert_nothing_built(tmp_path / "data")


@needs_proc
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("name", ["tfrecord", "dataset_info.json"])
def test_a_disk_that_does_not_keep_a_file(build, final, monkeypatch, name, number):
    build()
    before = contents(final)
    fsync = os.fsync

    def fail(descriptor):
        if name in _path_of(descriptor).name:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=os.strerror(number)) as raised:
        build(download_mode=_OVERWRITE, num_shards=2)
    assert raised.value.path.startswith(str(final.parent))
    assert contents(final) == before
    assert names_in(final.parent) == ["5.0.0"]


@needs_proc
@FORMATS
def test_all_files_are_synced_before_they_are_in_the_final_place(
    build, final, monkeypatch, file_format
):
    synced: dict[pathlib.Path, int] = {}
    moved = []
    fsync, rename = os.fsync, os.rename

    def fsync_and_note(descriptor):
        synced[_path_of(descriptor)] = os.fstat(descriptor).st_size
        fsync(descriptor)

    def rename_and_look(source, target):
        if pathlib.Path(target).name == "5.0.0":
            source = pathlib.Path(source)
            moved.append(
                source in synced
                and all(synced.get(p) == p.stat().st_size for p in source.iterdir())
            )
            synced.clear()
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync_and_note)
    monkeypatch.setattr(os, "rename", rename_and_look)
    build(num_shards=2, file_format=file_format)
    # TFDS renames within the staging directory; the last one is to the final place.
    assert moved[-1:] == [True]
    assert [*synced] == [final.parent]
    synced.clear()
    build(file_format=file_format)
    assert not synced


@pytest.mark.parametrize("number", ["EINVAL", "ENOSYS"])
@pytest.mark.parametrize(
    ("missing", "warning"),
    [
        ("fsync", "cannot sync files"),
        ("posix_fadvise", "does not support caching hints"),
    ],
)
def test_a_file_system_without_a_call_is_one_warning(
    small_data, tmp_path, missing, warning, number
):
    code = f"""
import errno, os
def fail(*args):
    raise OSError(errno.{number}, os.strerror(errno.{number}))
os.{missing} = fail
for name in ("one", "two"):
    assert build(name, num_shards=3).info.splits["train"].num_examples == 6
"""
    _, stderr = run_program(code, small_data, tmp_path / "data")
    assert stderr.count(warning) == 1


def test_a_platform_without_advice_syncs_too(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "posix_fadvise")
    (tmp_path / "shard").touch()
    with mock.patch.object(os, "fsync") as fsync:
        sync_file(epath.Path(tmp_path / "shard"))
    assert fsync.call_count == 1


def test_remote_storage_needs_no_sync(monkeypatch):
    monkeypatch.delattr(os, "open")
    monkeypatch.delattr(os, "fsync")
    sync_file(epath.Path("gs://bucket/shard"))
    sync_folder(epath.Path("gs://bucket/folder"))
