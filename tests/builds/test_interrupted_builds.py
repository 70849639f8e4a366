"""Builds that are interrupted or killed, and builds of several processes at once."""

import os
import signal

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import ArchiveError
from tests.builds.conftest import start_program
from tests.conftest import read_split
from tests.shared import faults, permissions
from tests.shared.final_place import names_in

# Stops to read after some images, until a file exists.
_BUILD_AND_WAIT = """
import itertools, os, signal, time
# A background job of a shell ignores interrupts, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.alarm(300)  # Ends the build if a failed test leaves it waiting.
from imagenet2012_subset.storage.files import Files
num_images, go_on = arguments
counter = itertools.count()
read = Files.read
def read_and_wait(self, file, offset, size):
    if size > 512 and next(counter) >= int(num_images):  # A header has 512 bytes.
        print("waits", flush=True)
        while not os.path.exists(go_on):
            time.sleep(0.01)
    return read(self, file, offset, size)
Files.read = read_and_wait
build(num_shards=2)
"""


@pytest.fixture
def start(small_data, final, tmp_path):
    """Starts a build that waits after some images until `go_on` exists."""

    def start_build(num_images=3):
        return start_program(
            _BUILD_AND_WAIT,
            small_data,
            final.parents[2],
            num_images,
            tmp_path / "go_on",
        )

    return start_build


def _read_until(lines, text):
    for line in lines:
        if text in line:
            return
    pytest.fail(f"The process ended before it printed {text!r}")


@pytest.mark.parametrize("num_images", [0, 4, 8])
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_leaves_nothing_that_could_be_taken_for_a_dataset(
    start, build, final, tmp_path, number, num_images
):
    process = start(num_images)
    _read_until(process.stdout, "waits")
    process.send_signal(getattr(signal, number))
    if number == "SIGINT":
        (tmp_path / "go_on").touch()  # Threads stop after the image that they read.
    _, stderr = process.communicate(timeout=300)
    assert process.returncode
    assert not final.exists()
    if number == "SIGINT":
        assert "KeyboardInterrupt" in stderr
        assert not names_in(final.parent)
    again = faults.shards(build(num_shards=2))
    assert names_in(final.parent) == ["5.0.0"]
    assert faults.shards(build(num_shards=2, data_dir=tmp_path / "clean")) == again


def test_several_processes_load_the_same_dataset(start, build, final, tmp_path):
    """As the ranks of a training job do: one builds, the others wait for it."""
    first = start()
    _read_until(first.stdout, "waits")
    others = [start(), start()]
    for process in others:
        _read_until(process.stderr, "Waiting for process ")
    (tmp_path / "go_on").touch()
    for process in (first, *others):
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert ("Built. " in stdout) == (process is first)
        assert "Waiting for process " not in stderr  # Only once.
    clean = build(num_shards=2, data_dir=tmp_path / "clean")
    assert faults.shards(build()) == faults.shards(clean)
    assert [path.name for path in final.parent.iterdir()] == ["5.0.0"]


@pytest.mark.usefixtures("without_locks")
def test_without_locks_what_may_belong_to_a_running_build_stays(build, final):
    (final.parent / "incomplete.ABC_5.0.0").mkdir(parents=True)
    build()
    assert names_in(final.parent) == ["5.0.0", "incomplete.ABC_5.0.0"]


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
def test_what_another_user_left_does_not_matter(build, final, mode):
    left = final.parent / "incomplete.ABC_5.0.0"
    (left / "imagenet2012_subset" / "small" / "5.0.0").mkdir(parents=True)
    (left / "replaced").mkdir()
    left.chmod(mode)
    try:
        with permissions.counted():
            assert len(read_split(build(), "train")) == 6
    finally:
        left.chmod(0o755)
    # Removing it may get as far as its permissions allow.
    assert left.exists()


def test_a_failed_overwrite_puts_the_old_dataset_back(build, small_data, final):
    before = faults.shards(build())
    wnid = next(iter(small_data.training))
    small_data.training[wnid][0] = (small_data.training[wnid][0][0], b"no image")
    small_data.write()
    with pytest.raises(ArchiveError, match="not a JPEG"):
        build(download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)
    assert faults.shards(build()) == before
    assert names_in(final.parent) == ["5.0.0"]


def test_a_read_error(build, monkeypatch):
    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(ArchiveError, match="Input/output error"):
        build()
