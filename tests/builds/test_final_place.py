"""At each moment of a build's last step one whole dataset exists, or is put back."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import shutil
import signal
import subprocess

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import WriteError
from tests.shared.final_place import Place, contents, names_in
from tests.shared.system_calls import at_call, each_call

_OVERWRITE = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS


@pytest.fixture
def place(build, tmp_path, tmp_path_factory) -> Place:
    return Place(build, tmp_path / "place", tmp_path_factory)


def _killed(run, number: int) -> bool:
    """Runs something in a process; returns whether that was killed at a call."""

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if not (child := os.fork()):
        with contextlib.suppress(BaseException), at_call(number, kill):
            run()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("old", [None, 1])
def test_killed_at_each_call_of_the_last_step(place, old):
    def run(number: int) -> bool:
        place.new_place(old)
        killed = _killed(lambda: place.prepare(2, overwrite=bool(old)), number)
        after = place.holds()
        place.prepare(3)  # Builds only if there is nothing, not even to put back.
        assert place.holds() == (after or old or 3)
        place.prepare(3, overwrite=True)
        assert place.holds() == 3
        assert not place.beside()
        return killed

    each_call(run, at_least=10)


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.EACCES, "Permission denied"),
    ],
    ids=["KeyboardInterrupt", "EIO", "EACCES"],
)
@pytest.mark.parametrize("old", [None, 1])
def test_an_error_at_each_call_of_the_last_step(place, old, error):
    ours = WriteError if isinstance(error, OSError) else type(error)

    def fail() -> None:
        raise error

    def run(number: int) -> bool:
        place.new_place(old)
        with at_call(number, fail) as reached:
            try:
                place.prepare(2, overwrite=bool(old))
            except ours:
                pass
            else:
                assert place.holds() == 2
        assert place.holds() in (old, 2)
        return reached()

    each_call(run, at_least=10)


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("old", [None, 1])
def test_without_locks_another_build_at_each_call(place, old, overwrite):
    """Whichever build renames last, one whole dataset is in place."""

    def run(number: int) -> bool:
        place.new_place(old)
        with at_call(number, lambda: place.prepare(3, overwrite=overwrite)) as reached:
            place.prepare(2, overwrite=bool(old))
        assert place.holds() in (1, 2, 3)
        assert not place.beside()
        return reached()

    each_call(run, at_least=10)


def test_a_link_is_replaced_and_its_target_stays(place, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    place.new_place(1)
    shutil.copytree(place.path, elsewhere)
    before = contents(elsewhere)

    def run(number: int) -> bool:
        place.new_place()
        place.path.parent.mkdir(parents=True)
        # A relative link is broken once it is moved.
        os.symlink(os.path.relpath(elsewhere, place.path.parent), place.path)
        assert place.holds() == 1
        killed = _killed(lambda: place.prepare(2, overwrite=True), number)
        place.prepare(3)
        assert place.holds() in (1, 2)
        assert contents(elsewhere) == before
        return killed

    each_call(run, at_least=10)
    assert place.holds() == 2
    assert not os.path.islink(place.path)
    assert not place.beside()


def test_a_link_that_is_replaced_is_named(build, tmp_path, final, caplog):
    build()
    final.rename(tmp_path / "elsewhere")
    final.symlink_to(tmp_path / "elsewhere")
    build(download_mode=_OVERWRITE, num_shards=2)
    assert f"{final} is a link to {tmp_path / 'elsewhere'}" in caplog.text
    assert not final.is_symlink()
    assert len(list(final.glob("*train.tfrecord*"))) == 2


@pytest.mark.parametrize(
    "put",
    [
        lambda path: path.write_text("notes"),
        lambda path: (path / "notes").mkdir(parents=True),
        lambda path: path.symlink_to("not_mounted"),
    ],
    ids=["file", "folder", "broken link"],
)
def test_something_else_in_the_final_place_stays(build, final, put):
    final.parent.mkdir(parents=True)
    put(final)
    with pytest.raises(WriteError, match=r"has no dataset_info.json") as raised:
        build()
    assert raised.value.path == str(final)
    assert os.path.lexists(final)
    assert names_in(final.parent) == ["5.0.0"]


def test_the_old_dataset_exists_until_the_new_one_is_built(build, final, once_built):
    build()
    before = contents(final)
    seen = []
    once_built(lambda: seen.append(contents(final)))
    again = build(download_mode=_OVERWRITE, num_shards=2)
    assert seen == [before]
    assert again.info.splits["train"].num_shards == 2
    assert os.listdir(final.parent) == ["5.0.0"]


@pytest.fixture(params=["another file system", "same file system"])
def mounted(request, tmp_path, final):
    """A volume that is mounted in the final place."""
    final.mkdir(parents=True)
    (tmp_path / "volume").mkdir()
    options = ["--bind", tmp_path / "volume"]
    if request.param == "another file system":
        options = ["-t", "tmpfs", "tmpfs"]
    try:
        subprocess.run(["mount", *options, final], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system takes root")
    yield final
    subprocess.run(["umount", "-l", final], check=True)


def test_a_mount_point_is_refused_before_the_build(build, small_data, mounted):
    (small_data.manual_dir / "ILSVRC2012_img_val.tar").unlink()  # It is not read.
    with pytest.raises(WriteError, match="is a mount point") as raised:
        build()
    assert raised.value.path == str(mounted)
    assert "Mount the volume at a directory above it" in raised.value.remedy
    assert not list(mounted.iterdir())


def test_a_dataset_on_a_mount_point_is_used_not_replaced(build, mounted, tmp_path):
    folder = build(data_dir=tmp_path / "elsewhere").data_path
    shutil.copytree(folder, mounted, dirs_exist_ok=True)
    assert build().is_prepared()
    with pytest.raises(WriteError, match="is a mount point"):
        build(download_mode=_OVERWRITE)
    assert contents(mounted) == contents(pathlib.Path(folder))


def test_a_complete_dataset_is_used_without_the_lock(build, final, monkeypatch):
    """Also where the lock cannot be created, as in a read-only data_dir."""
    build()
    open_file = os.open

    def read_only(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return open_file(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", read_only)
    assert build().is_prepared()
    assert os.listdir(final.parent) == ["5.0.0"]
    with pytest.raises(WriteError, match="Read-only file system"):
        build(download_mode=_OVERWRITE)
