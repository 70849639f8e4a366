"""How many shards are written at a time, by threads that stop together."""

import os
import resource
import threading
import time

import pytest

from imagenet2012_subset.write.local import (
    WORKERS_VARIABLE,
    Stopped,
    num_workers,
    run_together,
    workers_within_open_files,
)
from tests.shared.limits import limited


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch) -> None:
    monkeypatch.delenv(WORKERS_VARIABLE, raising=False)


def test_the_number_of_workers_is_the_argument_the_variable_or_the_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert num_workers() == 3  # Only the CPUs that the process may use count.
    monkeypatch.delattr(os, "sched_getaffinity")
    for cpus, workers in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cpus=cpus: cpus)
        assert num_workers() == workers
    monkeypatch.setenv(WORKERS_VARIABLE, "")
    assert num_workers() == 1
    monkeypatch.setenv(WORKERS_VARIABLE, "1234")
    assert num_workers() == 1234
    assert num_workers(5) == 5


@pytest.mark.parametrize("requested", [0, -1])
def test_an_argument_that_is_not_positive_is_an_error(requested):
    with pytest.raises(ValueError, match=f"workers is {requested}: it must be a pos"):
        num_workers(requested)


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "1e3", " "])
def test_a_variable_that_is_not_a_positive_number_is_an_error(monkeypatch, value):
    monkeypatch.setenv(WORKERS_VARIABLE, value)
    with pytest.raises(ValueError, match=f"{WORKERS_VARIABLE} is '{value}'"):
        num_workers()


@pytest.mark.parametrize(
    ("more_files", "workers"), [(0, 1), (1, 1), (60, 3), (200, 10), (2000, 64)]
)
def test_workers_are_limited_by_the_open_files_allowed(more_files, workers):
    allowed = len(os.listdir("/dev/fd")) + more_files
    with limited(resource.RLIMIT_NOFILE, allowed):
        assert workers_within_open_files(64) == workers
        assert workers_within_open_files(1) == 1


def test_tasks_run_at_the_same_time():
    both = threading.Barrier(2)
    run_together([both.wait, both.wait], 2, threading.Event())


def test_an_error_is_raised_once_running_tasks_have_stopped_and_no_others_begin():
    stop = threading.Event()
    second_runs = threading.Event()
    begun: list[int] = []
    stopped: list[int] = []

    def fail() -> None:
        second_runs.wait()
        raise OSError("disk full")

    def run_until_stopped(number: int) -> None:
        begun.append(number)
        second_runs.set()
        stop.wait()
        time.sleep(0.05)  # The error must not be raised before this task ends.
        stopped.append(number)
        raise Stopped

    tasks = [fail, *(lambda i=i: run_until_stopped(i) for i in range(100))]
    with pytest.raises(OSError, match="disk full"):
        run_together(tasks, 2, stop)
    # The thread of the task that failed may have taken one more before the stop.
    assert len(begun) <= 2
    assert sorted(stopped) == sorted(begun)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_first_error_is_the_one_that_is_raised(error):
    stop = threading.Event()
    begun = threading.Event()

    def fail_when_stopped() -> None:
        begun.set()
        stop.wait()
        raise KeyError("a consequence")

    def fail() -> None:
        begun.wait()
        raise error("the cause")

    with pytest.raises(error, match="the cause"):
        run_together([fail_when_stopped, fail], 2, stop)
