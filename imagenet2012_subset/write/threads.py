"""Runs tasks in threads that stop together."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

_Result = TypeVar("_Result")


class Stopped(Exception):
    """Ends a task because another one failed, or the user interrupted."""


class StopFlag:
    """Tells tasks that still run that they are no longer wanted."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raises `Stopped` if the flag is set; tasks call it every few milliseconds."""
        if self._event.is_set():
            raise Stopped


class Progress:
    """Moves a progress bar from any thread; ends the task that should stop."""

    def __init__(self, update: Callable[[int], object], stop: StopFlag):
        self._update = update
        self._stop = stop
        self._lock = threading.Lock()

    def __call__(self, amount: int) -> None:
        self._stop.check()
        with self._lock:
            self._update(amount)


def run_together(
    tasks: Sequence[Callable[[], _Result]], num_threads: int, stop: StopFlag
) -> list[_Result]:
    """Returns the results of all tasks, in the order of the tasks.

    When a task fails or the user interrupts, `stop` is set, waiting tasks are
    cancelled, and the error is raised once the running ones have ended. Threads, unlike
    processes, need no `if __name__ == "__main__"` and work in a notebook.
    """
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    try:
        futures = [pool.submit(task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            future.result()
        return [future.result() for future in futures]
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
