"""Disks that are full, fail or are read-only; and what is synced when."""

from __future__ import annotations

import errno
import os
import pathlib
import resource
from unittest import mock

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.write.staging import sync_file
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


def test_the_space_needed_is_that_of_the_records(build, leave_free, tmp_path):
    shards = sum(map(len, faults.shards(build(data_dir=tmp_path / "other")).values()))
    leave_free(_MIB + shards - 1)  # One MiB is for all other files.
    with pytest.raises(WriteError, match="bytes free, but the dataset takes") as raised:
        build()
    assert raised.value.remedy.startswith("Free 1 bytes")
    faults.assert_nothing_built(tmp_path / "data")
    leave_free(_MIB + shards)
    assert build().is_prepared()


@FORMATS
def test_a_shard_longer_than_the_users_limit(build, small_data, tmp_path, file_format):
    small_data.validation = [
        (archives.validation_name(n), archives.jpeg(n, (400, 300))) for n in (1, 2, 3)
    ]
    small_data.write()  # The validation split is about 300 kB long.
    with (
        limits.limited(resource.RLIMIT_FSIZE, 200_000),
        pytest.raises(WriteError, match="cannot be written") as raised,
    ):
        build(file_format=file_format)
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


@pytest.mark.parametrize(
    ("name", "number"), [("mkdir", errno.EROFS), ("rename", errno.ENOSPC)]
)
def test_a_disk_that_refuses_a_call(build, tmp_path, final, monkeypatch, name, number):
    call = getattr(os, name)

    def fail(*args, **kwargs):
        if "imagenet2012_subset/small" in str(args[0]):
            raise OSError(number, os.strerror(number))
        return call(*args, **kwargs)

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(WriteError, match=os.strerror(number)) as raised:
        build()
    assert raised.value.path == str(final)
    faults.assert_nothing_built(tmp_path / "data")


@needs_proc
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("tfrecord", errno.EIO),
        ("tfrecord", errno.ENOSPC),
        ("dataset_info.json", errno.EDQUOT),
    ],
)
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
def test_all_files_are_synced_before_they_move(build, final, monkeypatch, file_format):
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


@pytest.mark.parametrize(
    ("missing", "number", "warning"),
    [
        ("fsync", "EINVAL", "cannot sync files"),
        ("posix_fadvise", "ENOSYS", "does not support caching hints"),
    ],
)
def test_a_missing_call_is_one_warning(small_data, tmp_path, missing, number, warning):
    code = f"""
import errno, os
def fail(*args):
    raise OSError(errno.{number}, os.strerror(errno.{number}))
os.{missing} = fail
for name in ("one", "two"):
    build(name, num_shards=3, file_format="array_record")  # It needs no TensorFlow.
"""
    _, stderr = run_program(code, small_data, tmp_path / "data")
    assert stderr.count(warning) == 1


def test_a_platform_without_advice_syncs_too(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "posix_fadvise")
    (tmp_path / "shard").touch()
    with mock.patch.object(os, "fsync") as fsync:
        sync_file(epath.Path(tmp_path / "shard"))
    assert fsync.call_count == 1
