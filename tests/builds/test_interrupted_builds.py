"""What happens to a build from outside: signals, full disks, other builds."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import ArchiveError
from imagenet2012_subset.sources import tar_archive
from imagenet2012_subset.storage.files import read_in_order
from tests.conftest import read_split
from tests.shared import archives, permissions
from tests.shared.final_place import names_in

_BUILD = """
import signal, sys, time
# A shell's background job ignores interrupts, and hands that down.
signal.signal(signal.SIGINT, signal.default_int_handler)
import tensorflow_datasets as tfds
from imagenet2012_subset import Builder, SubsetConfig
from imagenet2012_subset.storage.files import Files
manual_dir, subset_list, data_dir, seconds_per_image = sys.argv[1:]
read = Files.read
def read_slowly(self, file, offset, size):
    if size > 512:  # Not a header.
        time.sleep(float(seconds_per_image))
    return read(self, file, offset, size)
Files.read = read_slowly
print("begin", flush=True)
Builder(
    config=SubsetConfig(name="small", subset_list=subset_list, validation_images=5),
    data_dir=data_dir,
).download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, num_shards=2)
)
"""


def _start(small_data, data_dir, seconds_per_image=0.0):
    command = [sys.executable, "-c", _BUILD, small_data.manual_dir]
    command += [small_data.subset_list, data_dir, str(seconds_per_image)]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begin\n"
    return process


def _folder(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "imagenet2012_subset" / "small"


def _shards(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*tfrecord*")}


def _wait_for_a_shard(data_dir: pathlib.Path) -> None:
    deadline = time.monotonic() + 300  # Of a machine that does much else.
    while not any(data_dir.glob("**/staged_shard.*/*tfrecord*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_leaves_nothing_that_could_be_taken_for_a_dataset(
    small_data, build, tmp_path, number, delay
):
    data_dir = tmp_path / "killed"
    process = _start(small_data, data_dir, seconds_per_image=0.5)
    _wait_for_a_shard(data_dir)
    time.sleep(delay)
    process.send_signal(getattr(signal, number))
    _, stderr = process.communicate(timeout=300)
    assert process.returncode
    assert not (_folder(data_dir) / "5.0.0").exists()
    left = names_in(_folder(data_dir))
    if number == "SIGINT":
        assert "KeyboardInterrupt" in stderr
        assert not left

    again = build(data_dir=data_dir, num_shards=2)
    clean = build(num_shards=2)
    assert _shards(pathlib.Path(again.data_dir)) == _shards(
        pathlib.Path(clean.data_dir)
    )
    assert names_in(_folder(data_dir)) == ["5.0.0"]


def test_the_next_build_removes_what_was_left_and_names_it(build, tmp_path, caplog):
    left = tmp_path / "data" / "imagenet2012_subset" / "small" / "incomplete.ABC_5.0.0"
    left.mkdir(parents=True)
    (left / "shard").write_bytes(b"x" * 1234)
    build()
    (message,) = [r.getMessage() for r in caplog.records if "Removed" in r.msg]
    assert message == f"Removed {left}, which a killed build left behind"
    assert names_in(left.parent) == ["5.0.0"]


@pytest.mark.usefixtures("without_locks")
def test_without_locks_what_may_belong_to_a_running_build_stays(build, tmp_path):
    left = tmp_path / "data" / "imagenet2012_subset" / "small" / "incomplete.ABC_5.0.0"
    left.mkdir(parents=True)
    build()
    assert names_in(left.parent) == ["5.0.0", "incomplete.ABC_5.0.0"]


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
def test_what_another_user_left_does_not_matter(build, tmp_path, mode):
    left = tmp_path / "data" / "imagenet2012_subset" / "small" / "incomplete.ABC_5.0.0"
    (left / "imagenet2012_subset" / "small" / "5.0.0").mkdir(parents=True)
    (left / "replaced").mkdir()
    left.chmod(mode)
    try:
        with permissions.counted():
            built = build()
            assert len(read_split(build(), "train")) == 6
    finally:
        left.chmod(0o755)
    assert pathlib.Path(built.data_path).exists()
    # An attempt to remove it may get as far as its permissions allow.
    assert left.exists()


def test_several_processes_load_the_same_dataset(small_data, build, tmp_path):
    """As the ranks of a training job do: one builds, the others wait for it."""
    data_dir = tmp_path / "shared"
    processes = [_start(small_data, data_dir, 0.1) for _ in range(3)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, outputs
    assert sum("To write" in stdout for stdout, _ in outputs) == 1
    waited = [stderr.count("Waiting for process ") for _, stderr in outputs]
    assert max(waited) == 1
    # One that comes late finds the dataset complete, and does not wait.
    assert sum(waited) in (1, 2)
    clean = build(num_shards=2)
    assert _shards(_folder(data_dir) / "5.0.0") == _shards(pathlib.Path(clean.data_dir))
    assert [path.name for path in _folder(data_dir).iterdir()] == ["5.0.0"]


def test_a_failed_overwrite_puts_the_old_dataset_back(build, small_data):
    finished = build()
    before = _shards(pathlib.Path(finished.data_dir))
    wnid = next(iter(small_data.training))
    small_data.training[wnid][0] = (small_data.training[wnid][0][0], b"no image")
    small_data.write()
    with pytest.raises(ArchiveError, match="not a JPEG"):
        build(download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)
    folder = pathlib.Path(finished.data_dir)
    assert _shards(folder) == before
    assert names_in(folder.parent) == ["5.0.0"]


def test_an_archive_that_shrinks_while_it_is_read(build, small_data, monkeypatch):
    archive = small_data.manual_dir / "ILSVRC2012_img_val.tar"

    def shrink_first(files, ranges):
        os.truncate(archive, 512)
        return read_in_order(files, ranges)

    monkeypatch.setattr(tar_archive, "read_in_order", shrink_first)
    with pytest.raises(ArchiveError, match="had 20,480 bytes and now has 512"):
        build()


def test_an_archive_that_is_rewritten_while_it_is_read(build, small_data, monkeypatch):
    archive = small_data.manual_dir / "ILSVRC2012_img_val.tar"

    def rewrite_first(files, ranges):
        archive.write_bytes(archives.tar_bytes(sorted(small_data.validation)))
        return read_in_order(files, ranges)

    monkeypatch.setattr(tar_archive, "read_in_order", rewrite_first)
    with pytest.raises(ArchiveError, match="was written to or replaced"):
        build(workers=1)  # Two would rewrite what the other is about to read.


def test_a_read_error(build, monkeypatch):
    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(ArchiveError, match="Input/output error"):
        build()
