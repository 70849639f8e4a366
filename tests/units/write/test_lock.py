"""One build at a time of each dataset, whatever happens to the one that builds."""

import concurrent.futures
import errno
import fcntl
import multiprocessing
import os
import signal
import socket
import threading
import time
from unittest import mock

import pytest
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.write import staging
from imagenet2012_subset.write.staging import locked

_fork = multiprocessing.get_context("fork")


@pytest.fixture
def final(tmp_path) -> epath.Path:
    return epath.Path(tmp_path) / "5.0.0"


@pytest.fixture
def holder(final):
    """A process that holds the lock until it is killed."""
    held = _fork.Event()

    def hold() -> None:
        with locked(final):
            held.set()
            time.sleep(600)

    process = _fork.Process(target=hold, daemon=True)
    process.start()
    try:
        assert held.wait(300)
        yield process
    finally:
        process.kill()
        process.join()


def test_waiting_is_logged_once_with_the_process_that_builds(final, holder):
    lines = []

    def kill_holder(line: str, *values: object) -> None:
        lines.append(line % values)
        holder.kill()

    with (
        mock.patch.object(staging.logging, "warning", kill_holder),
        locked(final) as is_locked,
    ):
        assert is_locked
    who = f"process {holder.pid} on {socket.gethostname()}"
    assert lines == [f"Waiting for {who}, which is building {final}"]


def test_a_killed_process_leaves_no_lock(final, holder, caplog):
    holder.kill()
    holder.join()
    with locked(final) as is_locked:
        assert is_locked
    assert not caplog.records


def test_waiting_can_be_interrupted(final, holder, monkeypatch):
    def interrupt_soon(*_: object) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    monkeypatch.setattr(staging.logging, "warning", interrupt_soon)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), locked(final):
        pass


def test_a_build_within_a_build_of_the_same_dataset_is_an_error(final):
    with locked(final):
        with pytest.raises(WriteError, match=f"{final}: is being built by this thread"):
            locked(final).__enter__()
        with locked(final.parent / "6.0.0") as is_locked:
            assert is_locked
    with locked(final) as is_locked:
        assert is_locked
    assert not os.listdir(final.parent)


def test_builds_take_turns(final):
    """Also those that waited for a lock file that is gone by the time they get it."""
    inside = []
    most = []

    def build() -> None:
        for _ in range(10):
            with locked(final):
                inside.append(None)
                time.sleep(0.002)
                most.append(len(inside))
                inside.pop()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for _ in range(6):
            pool.submit(build)
    assert most == [1] * 60


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_one_warning(final, monkeypatch, caplog, code):
    error = OSError(code, os.strerror(code))
    monkeypatch.setattr(fcntl, "flock", mock.Mock(side_effect=error))
    with locked(final) as is_locked:
        assert not is_locked
    (record,) = caplog.records
    assert "do not build it in several processes" in record.getMessage()


def test_a_disk_error_is_not_taken_for_a_missing_feature(final, monkeypatch):
    error = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(fcntl, "flock", mock.Mock(side_effect=error))
    with pytest.raises(OSError, match="Input/output error"), locked(final):
        pass


def test_other_users_may_lock_the_same_file(final):
    umask = os.umask(0o077)
    try:
        with locked(final):
            (name,) = os.listdir(final.parent)
            assert os.stat(final.parent / name).st_mode & 0o777 == 0o666
    finally:
        os.umask(umask)
