"""Builds that are interrupted or killed, and builds of several processes at once."""

import os
import signal

import pytest

from imagenet2012_subset import ArchiveError
from tests.builds.conftest import start_program
from tests.conftest import read_split
from tests.shared import faults, permissions
from tests.shared.final_place import names_in

# Stops to read after some images, until a file exists.
_BUILD_AND_WAIT = """
import itertools, os, time
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
build(num_shards=2, file_format="array_record")  # It needs no TensorFlow.
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


@pytest.fixture
def clean_shards(build, tmp_path):
    """The shards of a build that nothing interrupts."""
    options = {"num_shards": 2, "file_format": "array_record"}
    return faults.shards(build(data_dir=tmp_path / "clean", **options))


def _read_until(lines, text):
    for line in lines:
        if text in line:
            return
    pytest.fail(f"The process ended before it printed {text!r}")


@pytest.mark.parametrize(
    ("number", "num_images"),
    [("SIGINT", 0), ("SIGINT", 8), ("SIGTERM", 4), ("SIGKILL", 8)],
)
def test_a_signal_leaves_no_dataset(
    start, build, clean_shards, final, tmp_path, number, num_images
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
    again = build(num_shards=2, file_format="array_record")
    assert names_in(final.parent) == ["5.0.0"]
    assert faults.shards(again) == clean_shards


def test_two_processes_load_the_same_dataset(
    start, build, clean_shards, final, tmp_path
):
    """As the ranks of a training job do: one builds, the other waits for it."""
    first = start()
    _read_until(first.stdout, "waits")
    second = start()
    _read_until(second.stderr, "Waiting for process ")
    (tmp_path / "go_on").touch()
    for process in (first, second):
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert ("Built. " in stdout) == (process is first)
        assert "Waiting for process " not in stderr  # Only once.
    assert faults.shards(build()) == clean_shards
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


def test_a_read_error(build, monkeypatch):
    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(ArchiveError, match="Input/output error"):
        build()
