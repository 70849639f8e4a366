"""Walks many files or tars in step, which keeps the disk busy."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Callable, Generator

from imagenet2012_subset.storage import files as files_module
from imagenet2012_subset.storage.files import Files

Walk = Generator[tuple[int, int, int], bytes, None]
"""A generator that is sent the bytes of each range that it yields.

It yields the file, the offset and the size: a `Range` takes longer to make.
"""

OnProgress = Callable[[int], object]

_REPORT_SECONDS = 0.05


class Walks:
    """Walks that run in step. A walk may add more walks.

    A single walk waits for each read, because each header contains the position of the
    next one. With many in step, the next range of each walk is prefetched before any of
    them is read.

    Attributes:
      passed: the number of bytes that all walks have passed, updated by the walks.
    """

    def __init__(
        self, files: Files, on_progress: Callable[[int], object] | None = None
    ):
        """Makes an empty set of walks.

        Args:
          files: what the walks read.
          on_progress: called with the number of bytes passed since its last call.
        """
        self.passed = 0
        self._files = files.sequential()
        self._in_step = self._files.in_step
        self._on_progress = on_progress
        self._waiting: list[Walk] = []
        self._reported = 0
        self._stopped = False

    @property
    def depth_first(self) -> bool:
        """Whether a walk should run the walks it finds itself, in file order."""
        return self._in_step == 1

    def add(self, walk: Walk) -> None:
        """Adds a walk, which starts when fewer than the maximum are running."""
        self._waiting.append(walk)

    def run(self) -> None:
        """Runs all walks to their end.

        Raises:
          ArchiveError: if a walk raises it, or a file cannot be read.
        """
        if files_module.HAS_ADVICE or self.depth_first:
            self._run_in_step()
        else:
            self._run_in_threads()
        self._report()

    def _run_in_step(self) -> None:
        read, prefetch = self._files.read, self._files.prefetch
        next_report = time.monotonic() + _REPORT_SECONDS
        walking: list[tuple[Walk, tuple[int, int, int]]] = []
        while True:
            while len(walking) < self._in_step and self._waiting:
                walk = self._waiting.pop()
                if (needed := next(walk, None)) is not None:
                    prefetch(*needed)
                    walking.append((walk, needed))
            if not walking:
                return
            going_on = []
            for walk, needed in walking:
                try:
                    following = walk.send(read(*needed))
                except StopIteration:
                    continue
                prefetch(*following)
                going_on.append((walk, following))
            walking = going_on
            if self._on_progress and time.monotonic() > next_report:
                self._report()
                next_report = time.monotonic() + _REPORT_SECONDS

    def _run_in_threads(self) -> None:
        threads = files_module.PREFETCH_THREADS
        running: set[concurrent.futures.Future[None]] = set()
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            try:
                while self._waiting or running:
                    while self._waiting and len(running) < threads:
                        running.add(pool.submit(self._run_alone, self._waiting.pop()))
                    # A walk may add more walks before it ends.
                    done, running = concurrent.futures.wait(
                        running, _REPORT_SECONDS, concurrent.futures.FIRST_COMPLETED
                    )
                    for future in done:
                        future.result()
                    self._report()
            finally:
                self._stopped = True

    def _run_alone(self, walk: Walk) -> None:
        with contextlib.suppress(StopIteration):
            needed = next(walk)
            while not self._stopped:
                needed = walk.send(self._files.read(*needed))

    def _report(self) -> None:
        if self._on_progress:
            passed = self.passed
            self._on_progress(passed - self._reported)
            self._reported = passed
