"""What a disk, a place or an option can do to the writing of a dataset."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import DatasetError, SubsetConfig, WriteError
from imagenet2012_subset.write.shard import ShardWriter
from tests.conftest import read_split
from tests.shared.final_place import contents, names_in

_OVERWRITE = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
_MIB = 1 << 20


def _nothing_is_left(tmp_path: pathlib.Path) -> bool:
    return not list((tmp_path / "data").rglob("[!.]*5.0.0*"))


_Usage = namedtuple("_Usage", "total used free")


def test_the_space_needed_is_that_of_the_records(build, monkeypatch, tmp_path):
    folder = pathlib.Path(build(data_dir=tmp_path / "other").data_path)
    shards = sum(path.stat().st_size for path in folder.glob("*.tfrecord*"))

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage(0, 0, free))

    leave(_MIB + shards - 1)  # A MiB is for what else there is.
    with pytest.raises(WriteError, match="bytes free, but the dataset takes"):
        build()
    assert _nothing_is_left(tmp_path)
    leave(_MIB + shards)
    assert build().is_prepared()


@pytest.mark.parametrize("workers", [1, 3])
def test_as_many_shards_at_a_time_as_workers(build, monkeypatch, workers):
    write = ShardWriter._write_records
    together = threading.Barrier(workers)
    lock = threading.Lock()
    running = most = 0

    def write_together(self, *args):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(300)
        time.sleep(0.05)  # For one too many to begin.
        try:
            return write(self, *args)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(ShardWriter, "_write_records", write_together)
    build(workers=workers, num_shards=3)
    assert most == workers


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("option", ["data_dir", "download_dir"])
def test_a_file_where_a_folder_should_be(build, tmp_path, option, deep):
    file = tmp_path / "file"
    file.write_text("notes")
    with pytest.raises(WriteError, match="is a file") as raised:
        build(**{option: file / "folder" if deep else file})
    assert raised.value.path == str(file)
    assert file.read_text() == "notes"
    assert _nothing_is_left(tmp_path)


def test_a_link_that_leads_nowhere_as_data_dir(build, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "not_mounted")
    with pytest.raises(WriteError, match="broken link") as raised:
        build(data_dir=link)
    assert raised.value.path == str(link)
    assert not (tmp_path / "not_mounted").exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("name", ["mkdir", "rename"])
def test_a_place_that_cannot_be_written(build, tmp_path, monkeypatch, name, number):
    call = getattr(os, name)

    def fail(*args, **kwargs):
        if "imagenet2012_subset/small" in str(args[0]):
            raise OSError(number, os.strerror(number))
        return call(*args, **kwargs)

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(WriteError, match=os.strerror(number)) as raised:
        build()
    final = tmp_path / "data" / "imagenet2012_subset" / "small" / "5.0.0"
    assert raised.value.path == str(final)
    assert _nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EIO])
def test_a_disk_error_is_no_other_builds_dataset(build, tmp_path, monkeypatch, number):
    """Another build's dataset in the final place does not make it one."""
    other = build(data_dir=tmp_path / "other")
    final = tmp_path / "data" / "imagenet2012_subset" / "small" / "5.0.0"
    rename = os.rename

    def fail(source, target):
        if str(target) == str(final):
            shutil.copytree(other.data_path, final)
            raise OSError(number, os.strerror(number))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises((OSError, DatasetError), match=os.strerror(number)):
        build()
    assert contents(final) == contents(pathlib.Path(other.data_path))
    assert names_in(final.parent) == ["5.0.0"]


@pytest.mark.parametrize("what", ["an empty folder", "other files", "a dataset"])
def test_what_another_process_put_into_the_final_place(
    build, tmp_path, monkeypatch, what
):
    other = build(data_dir=tmp_path / "other", max_examples_per_split=3)
    final = tmp_path / "data" / "imagenet2012_subset" / "small" / "5.0.0"
    generate = imagenet2012_subset.Builder._generate_splits

    def lose(self, *args):
        splits = generate(self, *args)
        if what == "a dataset":
            shutil.copytree(other.data_path, final)
        else:
            final.mkdir()
            if what == "other files":
                (final / "notes").write_text("notes")
        return splits

    monkeypatch.setattr(imagenet2012_subset.Builder, "_generate_splits", lose)
    told = "has 3 train images" if what == "a dataset" else "has no dataset_info.json"
    with pytest.raises(WriteError, match=told) as raised:
        build()
    assert raised.value.path == str(final)
    assert names_in(final.parent) == ["5.0.0"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_does_not_keep_the_infos(build, monkeypatch, number):
    finished = pathlib.Path(build().data_path)
    before = contents(finished)
    fsync = os.fsync

    def fail(descriptor):
        path = pathlib.Path(f"/proc/self/fd/{descriptor}")
        if path.exists() and path.readlink().name == "dataset_info.json":
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    if not pathlib.Path("/proc/self/fd").exists():
        pytest.skip("tells a descriptor's path by Linux's /proc")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=os.strerror(number)) as raised:
        build(download_mode=_OVERWRITE, num_shards=2)
    assert raised.value.path == str(finished)
    assert contents(finished) == before
    assert list(finished.parent.iterdir()) == [finished]


def test_all_is_synced_before_it_is_in_the_final_place(build, monkeypatch):
    if not pathlib.Path("/proc/self/fd").exists():
        pytest.skip("tells a descriptor's path by Linux's /proc")
    synced: dict[pathlib.Path, int] = {}
    moved = []
    fsync, rename = os.fsync, os.rename

    def fsync_and_note(descriptor):
        path = pathlib.Path(f"/proc/self/fd/{descriptor}").readlink()
        synced[path] = os.fstat(descriptor).st_size
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
    folder = pathlib.Path(build(num_shards=2).data_path)
    # TFDS moves it within the build's folder; the next one is to the final place.
    assert moved[-1:] == [True]
    assert [*synced] == [folder.parent]


_BUILD_WITHOUT = """
import errno, os, sys
import tensorflow_datasets as tfds
from imagenet2012_subset import Builder, SubsetConfig
manual_dir, subset_list, data_dir, *missing = sys.argv[1:]
def fail(*args):
    raise OSError(errno.{number}, os.strerror(errno.{number}))
for name in missing:
    setattr(os, name, fail)
for name in ("one", "two"):
    builder = Builder(
        config=SubsetConfig(name=name, subset_list=subset_list, validation_images=5),
        data_dir=data_dir,
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=manual_dir, num_shards=3
        )
    )
    assert builder.info.splits["train"].num_examples == 6
"""


@pytest.mark.parametrize("number", ["EINVAL", "ENOSYS"])
@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("fsync", "cannot sync files"),
        ("posix_fadvise", "does not support caching hints"),
    ],
)
def test_a_file_system_without(small_data, tmp_path, missing, told, number):
    """In a process of its own, as it is told of once in each."""
    command = [sys.executable, "-c", _BUILD_WITHOUT.format(number=number)]
    command += [small_data.manual_dir, small_data.subset_list, tmp_path / "data"]
    done = subprocess.run(
        [*map(str, command), missing], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(told) == 1


def test_a_subclass_can_be_overwritten_as_well(small_data, tmp_path):
    class Renamed(imagenet2012_subset.Builder, skip_registration=True):
        name = "renamed"
        BUILDER_CONFIGS = []

    config = SubsetConfig(
        name="small", subset_list=small_data.subset_list, validation_images=5
    )
    for mode in (tfds.GenerateMode.REUSE_DATASET_IF_EXISTS, _OVERWRITE):
        builder = Renamed(config=config, data_dir=tmp_path / "data")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=small_data.manual_dir, download_mode=mode
            )
        )
        assert len(read_split(builder, "train")) == 6
    assert os.listdir(tmp_path / "data" / "renamed" / "small") == ["5.0.0"]
