"""At each moment of a build's last step one whole dataset is there, or can be."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import pathlib
import shutil
import signal
import threading
import time

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.write.final_place import folder_of_build, put_in_place
from imagenet2012_subset.write.leftovers import report_leftovers
from imagenet2012_subset.write.made_from import read_made_from
from tests.shared.final_place import Place, contents
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
        # What is reported is to be deleted: it must not be all that is left.
        reported = report_leftovers(place.path)
        assert len(reported) == len(place.beside())
        assert all("Delete it if none does" in message for message in reported)
        place.prepare(3)  # Builds only if there is nothing.
        assert place.holds() == (after or old or 3)
        place.prepare(3, overwrite=True)
        assert place.holds() == 3
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


def test_an_error_leaves_nothing_beside(place):
    def fail() -> None:
        raise KeyboardInterrupt

    place.new_place(1)
    rename = os.rename
    renamed = []

    def fail_at_the_second(source, target):
        renamed.append(target)
        if len(renamed) == 2:
            fail()
        rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", fail_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            place.prepare(2, overwrite=True)
    assert place.holds() == 1
    assert not place.beside()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("old", [None, 1])
def test_another_build_at_each_call_of_the_last_step(place, old, overwrite):
    def run(number: int) -> Reached:
        place.new_place(old)
        with at_call(number, lambda: place.prepare(3, overwrite=overwrite)) as reached:
            place.prepare(2, overwrite=bool(old))
        if old or number > reached.count:
            assert place.holds() in (2, 3)
        else:
            assert place.holds() == 3 if overwrite else place.holds() in (2, 3)
        assert not place.beside()
        return reached

    each_call(run, at_least=10)


def test_a_build_that_began_before_ends_at_each_call_of_the_last_step(place):
    """It does not look for what can be put back any more."""

    def run(number: int) -> Reached:
        place.new_place(1)
        with folder_of_build(place.path) as folder:
            place.copy(3, folder)
            with at_call(
                number, lambda: put_in_place(folder, place.path, replace=True)
            ) as reached:
                place.prepare(2, overwrite=True)
        assert place.holds() in (2, 3)
        assert not place.beside()
        return reached

    each_call(run, at_least=10)


def test_leftovers_are_reported_at_each_call_of_a_build(place):
    def run(number: int) -> Reached:
        place.new_place(1)
        with at_call(number, lambda: report_leftovers(place.path)) as reached:
            place.prepare(2, overwrite=True)
        return reached

    each_call(run, at_least=10)


def test_a_place_where_nothing_is_yet_is_not_waited_for(place, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits"))
    place.path.rmtree(missing_ok=True)
    assert report_leftovers(place.path) == []


def test_leftovers_that_go_while_they_are_measured(place, monkeypatch):
    place.new_place(1)
    left = place.path.parent / "incomplete.ABC_5.0.0"
    (left / "deep").mkdir(parents=True)
    for name in ("a", "b"):
        (left / "deep" / name).write_bytes(b"x" * 1234)
    stat = type(left).stat

    def stat_of_what_goes(path):
        if path.name == "a":
            path.unlink()
        return stat(path)

    (message,) = report_leftovers(place.path)
    assert "2,468 bytes" in message
    monkeypatch.setattr(type(left), "stat", stat_of_what_goes)
    (message,) = report_leftovers(place.path)
    assert "1,234 bytes" in message


def _overwrite_in_step(place: Place, number: int, barrier) -> None:
    rename = os.rename

    def rename_in_step(source, target):
        with contextlib.suppress(Exception):  # Once the other one is done.
            barrier.wait(timeout=1)
        rename(source, target)

    os.rename = rename_in_step
    place.prepare(number, overwrite=True)


def test_two_processes_overwrite_in_step(place):
    fork = multiprocessing.get_context("fork")
    for _ in range(5):
        place.new_place(1)
        barrier = fork.Barrier(2)
        processes = [
            fork.Process(target=_overwrite_in_step, args=(place, number, barrier))
            for number in (2, 3)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(300)
        assert [process.exitcode for process in processes] == [0, 0]
        assert place.holds() in (2, 3)
        assert not place.beside()


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


def test_an_empty_place_gets_what_was_there_last(place):
    """As a build leaves it that others were quicker than, ten times."""
    place.new_place(1)
    new = pathlib.Path("imagenet2012_subset", "small", "5.0.0")
    for number in range(11):
        replaced = place.path.parent / "incomplete.ABC_5.0.0" / f"replaced-{number}"
        shutil.copytree(place.path, replaced)
        (replaced / "number").write_text(str(number))
    shutil.copytree(place.path, place.path.parent / "incomplete.ABC_5.0.0" / new)
    shutil.rmtree(place.path)
    place.prepare(3)
    assert (place.path / "number").read_text() == "10"


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
    assert [path.name for path in final.parent.iterdir()] == ["5.0.0"]


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
    assert [path.name for path in again.data_path.parent.iterdir()] == ["5.0.0"]


def test_an_interrupt_at_each_rename_of_a_whole_build(build, tmp_path):
    first = build()
    folder = pathlib.Path(first.data_path)

    def overwritten(number: int) -> int:
        rename = os.rename
        count = 0

        def interrupt(*args):
            nonlocal count
            count += 1
            if count == number:
                raise KeyboardInterrupt
            rename(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "rename", interrupt)
            try:
                build(download_mode=_OVERWRITE, num_shards=2)
            except KeyboardInterrupt:
                assert len(list(folder.glob("*train.tfrecord*"))) == 1
                assert [path.name for path in folder.parent.iterdir()] == ["5.0.0"]
        return count

    number = 1
    while overwritten(number) >= number:
        number += 1
    assert number > 3
    assert len(list(folder.glob("*train.tfrecord*"))) == 2


def test_what_cannot_be_deleted_is_named(tmp_path, monkeypatch, caplog):
    final = epath.Path(tmp_path / "5.0.0")

    def fail(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    with folder_of_build(final) as folder:
        (folder / "file").write_text("x")
        monkeypatch.setattr(shutil, "rmtree", fail)
    assert f"{folder} can be deleted, but is still there" in caplog.text


def test_a_dataset_is_found_while_another_build_is_between_two_renames(place):
    place.new_place(1)
    away = place.path.parent / "away"
    place.path.rename(away)
    thread = threading.Timer(0.2, away.rename, [place.path])
    thread.start()
    assert read_made_from(place.path).num_examples == {"train": 6, "validation": 5}
    thread.join()


def test_a_dataset_that_is_gone(place):
    with pytest.raises(WriteError, match="is gone, though it was there") as raised:
        read_made_from(place.path)
    assert raised.value.path == str(place.path)
