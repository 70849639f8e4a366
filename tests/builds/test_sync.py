"""What a finished build has written is on the disk."""

from __future__ import annotations

import errno
import os
import pathlib

import pytest
from etils import epath

from imagenet2012_subset.errors import WriteError
from imagenet2012_subset.storage.sync import sync_file, sync_folder

_DESCRIPTORS = pathlib.Path("/proc/self/fd")
_on_linux = pytest.mark.skipif(
    not _DESCRIPTORS.exists(), reason="tells a descriptor's path by Linux's /proc"
)


def _path_of(descriptor: int) -> pathlib.Path:
    return (_DESCRIPTORS / str(descriptor)).readlink()


@pytest.fixture
def synced(monkeypatch) -> list[tuple[pathlib.Path, int]]:
    """The path and size in bytes of each file when it was synced, in turn."""
    if not _DESCRIPTORS.exists():
        pytest.skip("tells a descriptor's path by Linux's /proc")
    fsync = os.fsync
    calls = []

    def fsync_and_note(descriptor):
        calls.append((_path_of(descriptor), os.fstat(descriptor).st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_and_note)
    return calls


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record", "parquet"])
def test_shards_are_synced_before_they_are_in_their_final_place(
    build, synced, file_format
):
    folder = pathlib.Path(build(num_shards=2, file_format=file_format).data_path)
    before = {
        (path.name, size)
        for path, size in synced
        if path.parent.name.startswith("staged_shard.")
    }
    shards = {
        (path.name, path.stat().st_size) for path in folder.glob(f"*{file_format}*")
    }
    assert len(shards) == 4
    assert before == shards


def test_a_dataset_that_was_there_is_left_alone(build, synced):
    build()
    synced.clear()
    build()
    assert not synced


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_does_not_keep_a_shard(build, monkeypatch, tmp_path, number):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=os.strerror(number)) as raised:
        build()
    assert "tfrecord" in raised.value.path
    assert not list((tmp_path / "data" / "imagenet2012_subset" / "small").iterdir())


def _fail_from_the_final_place_on(monkeypatch, kind) -> None:
    """Lets all syncs fail of what is a file, or a folder, and in its final place."""
    fsync = os.fsync

    def fail(descriptor):
        path = _path_of(descriptor)
        if kind(path) and "incomplete." not in str(path):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)


@_on_linux
def test_a_file_system_that_syncs_no_folders(build, monkeypatch):
    _fail_from_the_final_place_on(monkeypatch, pathlib.Path.is_dir)
    assert build().is_prepared()


def test_a_failed_sync_closes_the_file(monkeypatch, tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(b"records")
    opened = []
    open_file = os.open

    def open_and_note(*args):
        opened.append(open_file(*args))
        return opened[-1]

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "open", open_and_note)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        sync_file(epath.Path(path))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_a_synced_file_keeps_its_bytes(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(bytes(range(256)) * 1000)
    sync_file(epath.Path(path))
    assert path.read_bytes() == bytes(range(256)) * 1000


def test_remote_storage_needs_no_sync(monkeypatch):
    monkeypatch.delattr(os, "open")
    monkeypatch.delattr(os, "fsync")
    sync_file(epath.Path("gs://bucket/shard"))
    sync_folder(epath.Path("gs://bucket/folder"))


def test_a_platform_without_advice_syncs_all_the_same(monkeypatch, synced, tmp_path):
    monkeypatch.delattr(os, "posix_fadvise")
    (tmp_path / "shard").write_bytes(b"records")
    sync_file(epath.Path(tmp_path / "shard"))
    assert synced == [(tmp_path / "shard", 7)]
