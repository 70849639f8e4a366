"""How many shards are written at a time, by threads that stop together."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from imagenet2012_subset.write.local import (
    WORKERS_VARIABLE,
    Stopped,
    num_workers,
    run_together,
    workers_within_open_files,
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch) -> None:
    monkeypatch.delenv(WORKERS_VARIABLE, raising=False)


def test_an_argument_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "5")
    assert num_workers(3) == 3


def test_the_environment_goes_before_the_cpus(monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "1234")
    assert num_workers() == 1234


def test_only_the_cpus_that_the_process_may_use_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert num_workers() == 3


@pytest.mark.parametrize(("cpus", "workers"), [(6, 6), (None, 1)])
def test_all_cpus_count_where_the_platform_tells_no_more(monkeypatch, cpus, workers):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert num_workers() == workers


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    expected = num_workers()
    monkeypatch.setenv(WORKERS_VARIABLE, "")
    assert num_workers() == expected


@pytest.mark.parametrize("requested", [0, -1])
def test_an_argument_that_is_not_positive_is_an_error(requested):
    with pytest.raises(ValueError, match=f"workers is {requested}: it must be a pos"):
        num_workers(requested)


@pytest.mark.parametrize("given_value", ["0", "-2", "two", "1.5", "1e3", " "])
def test_a_variable_that_is_no_positive_number_is_an_error_that_names_it(
    monkeypatch, given_value
):
    monkeypatch.setenv(WORKERS_VARIABLE, given_value)
    with pytest.raises(ValueError, match=f"{WORKERS_VARIABLE} is '{given_value}'"):
        num_workers()


@contextlib.contextmanager
def _open_files_allowed(number: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("more_files", "workers"), [(0, 1), (1, 1), (60, 3), (200, 10), (2000, 64)]
)
def test_no_more_workers_than_may_open_files(more_files, workers):
    with _open_files_allowed(len(os.listdir("/dev/fd")) + more_files):
        assert workers_within_open_files(64) == workers


def test_a_single_worker_is_always_left():
    with _open_files_allowed(8):
        assert workers_within_open_files(1) == 1


def test_tasks_run_at_the_same_time():
    both = threading.Barrier(2)
    run_together([both.wait, both.wait], 2, threading.Event())


def _until_stopped(stop: threading.Event) -> None:
    stop.wait()
    raise Stopped


def test_after_an_error_waiting_tasks_never_begin_and_running_ones_are_stopped():
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
        try:
            _until_stopped(stop)
        except Stopped:
            stopped.append(number)
            raise

    tasks = [fail, *(lambda i=i: run_until_stopped(i) for i in range(100))]
    with pytest.raises(OSError, match="disk full"):
        run_together(tasks, 2, stop)
    # The thread of the task that failed may have taken one more before the stop.
    assert len(begun) <= 2
    assert sorted(stopped) == sorted(begun)


def test_the_error_is_raised_only_once_running_tasks_have_ended():
    stop = threading.Event()
    begun, ended = threading.Event(), threading.Event()

    def fail() -> None:
        begun.wait()
        raise ValueError("first")

    def end_late() -> None:
        begun.set()
        try:
            _until_stopped(stop)
        except Stopped:
            threading.Event().wait(0.05)
            ended.set()
            raise

    with pytest.raises(ValueError, match="first"):
        run_together([end_late, fail], 2, stop)
    assert ended.is_set()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_first_error_is_the_one_that_is_raised(error):
    stop = threading.Event()
    begun = threading.Event()

    def fail_when_stopped() -> None:
        begun.set()
        try:
            _until_stopped(stop)
        except Stopped:
            raise KeyError("a consequence") from None

    def fail() -> None:
        begun.wait()
        raise error("the cause")

    with pytest.raises(error, match="the cause"):
        run_together([fail_when_stopped, fail], 2, stop)
