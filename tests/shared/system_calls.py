"""Makes something happen at any one of the calls that change a file system."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from unittest import mock

_CALLS = ("fsync", "mkdir", "remove", "rename", "replace", "rmdir", "unlink")


class Reached:
    """Counts calls.

    Attributes:
      count: how many calls there were.
    """

    def __init__(self) -> None:
        self.count = 0


@contextlib.contextmanager
def at_call(number: int, happens: Callable[[], object]) -> Iterator[Reached]:
    """Makes something happen just before a call that changes the file system.

    Args:
      number: of the call, counted from 1.
      happens: what happens then; it may raise, or end the process.
    """
    reached = Reached()

    def wrapped(call):
        def count_and_call(*args, **kwargs):
            reached.count += 1
            if reached.count == number:
                happens()
            return call(*args, **kwargs)

        return count_and_call

    with contextlib.ExitStack() as stack:
        for name in _CALLS:
            stack.enter_context(mock.patch.object(os, name, wrapped(getattr(os, name))))
        yield reached


def each_call(run: Callable[[int], Reached], *, at_least: int) -> None:
    """Runs something once for each of its calls.

    Args:
      run: runs it, with something happening at a call, and returns what was counted.
      at_least: how many calls there must be, so that the test tests something.
    """
    for number in itertools.count(1):
        if run(number).count < number:
            assert number > at_least
            return
