"""At each moment of a build's last step one whole dataset is there, or can be."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import WriteError
from tests.shared.final_place import Place, contents, names_in
from tests.shared.system_calls import Reached, at_call, each_call

_OVERWRITE = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS


@pytest.fixture
def place(build, tmp_path, tmp_path_factory) -> Place:
    return Place.of(build, tmp_path / "place", tmp_path_factory)


def _killed(run, number: int) -> Reached:
    """Runs something in a process that is killed at a call; returns the count."""
    counted = multiprocessing.get_context("fork").Value("i", 0)

    def kill() -> None:
        counted.value = number
        os.kill(os.getpid(), signal.SIGKILL)

    if not (child := os.fork()):
        with contextlib.suppress(BaseException), at_call(number, kill):
            run()
        os._exit(0)
    os.waitpid(child, 0)
    reached = Reached()
    reached.count = counted.value
    return reached


@pytest.mark.parametrize("old", [None, 1])
def test_killed_at_each_call_of_the_last_step(place, old):
    def run(number: int) -> Reached:
        place.new_place(old)
        reached = _killed(lambda: place.prepare(2, overwrite=bool(old)), number)
        after = place.holds()
        place.prepare(3)  # Builds only if there is nothing, not even to put back.
        assert place.holds() == (after or old or 3)
        place.prepare(3, overwrite=True)
        assert place.holds() == 3
        assert not place.beside()
        return reached

    each_call(run, at_least=10)


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EACCES, "Permission denied"),
    ],
    ids=["KeyboardInterrupt", "SystemExit", "EIO", "ENOSPC", "EACCES"],
)
@pytest.mark.parametrize("old", [None, 1])
def test_an_error_at_each_call_of_the_last_step(place, old, error):
    ours = WriteError if isinstance(error, OSError) else type(error)

    def fail() -> None:
        raise error

    def run(number: int) -> Reached:
        place.new_place(old)
        with at_call(number, fail) as reached:
            try:
                place.prepare(2, overwrite=bool(old))
            except ours:
                pass
            else:
                assert place.holds() == 2
        assert place.holds() in (old, 2)
        return reached

    each_call(run, at_least=10)


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("old", [None, 1])
def test_without_locks_another_build_at_each_call(place, old, overwrite):
    """Whoever is last to rename, one whole dataset is in place."""

    def run(number: int) -> Reached:
        place.new_place(old)
        with at_call(number, lambda: place.prepare(3, overwrite=overwrite)) as reached:
            place.prepare(2, overwrite=bool(old))
        assert place.holds() in (1, 2, 3)
        assert not place.beside()
        return reached

    each_call(run, at_least=10)


def test_what_was_replaced_is_not_put_back_later(place):
    def run(number: int) -> Reached:
        place.new_place(1)
        reached = _killed(lambda: place.prepare(2, overwrite=True), number)
        if place.holds() == 2:
            # The user wants it built anew.
            shutil.rmtree(place.path)
            place.prepare(3)
            assert place.holds() == 3
        return reached

    each_call(run, at_least=10)


def test_a_link_is_replaced_and_its_target_stays(place, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    place.new_place(1)
    shutil.copytree(place.path, elsewhere)
    before = contents(elsewhere)

    def run(number: int) -> Reached:
        place.new_place()
        place.path.parent.mkdir(parents=True)
        # A relative link leads nowhere once it is moved.
        os.symlink(os.path.relpath(elsewhere, place.path.parent), place.path)
        assert place.holds() == 1
        reached = _killed(lambda: place.prepare(2, overwrite=True), number)
        place.prepare(3)
        assert place.holds() in (1, 2)
        assert contents(elsewhere) == before
        return reached

    each_call(run, at_least=10)
    assert place.holds() == 2
    assert not os.path.islink(place.path)
    assert not place.beside()


def test_a_link_that_is_replaced_is_named(build, tmp_path, caplog):
    folder = pathlib.Path(build().data_path)
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    build(download_mode=_OVERWRITE, num_shards=2)
    assert f"{folder} is a link to {elsewhere}" in caplog.text
    assert not folder.is_symlink()
    assert len(list(folder.glob("*train.tfrecord*"))) == 2
    assert len(list(elsewhere.glob("*train.tfrecord*"))) == 1


@pytest.mark.parametrize("what", ["file", "folder", "dangling link"])
def test_something_else_in_the_final_place_stays(build, tmp_path, what):
    final = tmp_path / "data" / "imagenet2012_subset" / "small" / "5.0.0"
    final.parent.mkdir(parents=True)
    if what == "file":
        final.write_text("notes")
    elif what == "folder":
        final.mkdir()
        (final / "notes").write_text("notes")
    else:
        final.symlink_to(tmp_path / "not_mounted")
    with pytest.raises(WriteError, match=r"has no dataset_info.json") as raised:
        build()
    assert raised.value.path == str(final)
    assert os.path.lexists(final)
    assert names_in(final.parent) == ["5.0.0"]


def test_what_overwrites_is_built_before_the_old_one_goes(build, monkeypatch):
    first = build()
    seen = []
    generate = type(first)._generate_splits

    def generate_and_look(self, *args):
        seen.append(contents(pathlib.Path(first.data_path)))
        return generate(self, *args)

    before = contents(pathlib.Path(first.data_path))
    monkeypatch.setattr(type(first), "_generate_splits", generate_and_look)
    again = build(download_mode=_OVERWRITE, num_shards=2)
    assert seen == [before]
    assert again.info.splits["train"].num_shards == 2
    assert os.listdir(again.data_path.parent) == ["5.0.0"]


@pytest.fixture(params=["another file system", "same file system"])
def mounted(request, tmp_path):
    """A volume that is mounted in the final place."""
    final = tmp_path / "data" / "imagenet2012_subset" / "small" / "5.0.0"
    volume = tmp_path / "volume"
    final.mkdir(parents=True)
    volume.mkdir()
    options = ["--bind", str(volume)]
    if request.param == "another file system":
        options = ["-t", "tmpfs", "tmpfs"]
    try:
        mount = ["mount", *options, str(final)]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system takes root")
    yield final
    subprocess.run(["umount", "-l", str(final)], check=True)


@pytest.mark.parametrize(
    "mode", [tfds.GenerateMode.REUSE_DATASET_IF_EXISTS, _OVERWRITE]
)
def test_a_mount_point_is_refused_before_the_build(build, small_data, mounted, mode):
    (small_data.manual_dir / "ILSVRC2012_img_val.tar").unlink()  # Not looked at.
    with pytest.raises(WriteError, match="is a mount point") as raised:
        build(download_mode=mode)
    assert raised.value.path == str(mounted)
    assert "Mount the volume at a directory above it" in raised.value.remedy
    assert not list(mounted.iterdir())


def test_a_dataset_on_a_mount_point_is_used_and_never_replaced(
    build, mounted, tmp_path
):
    folder = pathlib.Path(build(data_dir=tmp_path / "elsewhere").data_path)
    shutil.copytree(folder, mounted, dirs_exist_ok=True)
    assert build().is_prepared()
    with pytest.raises(WriteError, match="is a mount point"):
        build(download_mode=_OVERWRITE)
    assert contents(mounted) == contents(folder)


def test_a_complete_dataset_is_used_without_the_lock(build, monkeypatch):
    """Also where the lock cannot be created, as in a read-only data_dir."""
    folder = pathlib.Path(build().data_path)
    open_file = os.open

    def read_only(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return open_file(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", read_only)
    assert build().is_prepared()
    assert os.listdir(folder.parent) == ["5.0.0"]
    with pytest.raises(WriteError, match="Read-only file system"):
        build(download_mode=_OVERWRITE)
