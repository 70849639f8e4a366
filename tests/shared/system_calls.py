"""Makes something happen at any one of the calls that change a file system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from unittest import mock

_CALLS = ("fsync", "mkdir", "remove", "rename", "replace", "rmdir", "unlink")


@contextlib.contextmanager
def at_call(number: int, happens: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Makes something happen just before a call that changes the file system.

    Args:
      number: of the call, counted from 1.
      happens: what happens then; it may raise, or end the process.

    Yields:
      A function that returns whether that call was made.
    """
    calls: list[str] = []

    def wrapped(name, call):
        def note_and_call(*args, **kwargs):
            calls.append(name)
            if len(calls) == number:
                happens()
            return call(*args, **kwargs)

        return note_and_call

    with contextlib.ExitStack() as stack:
        for name in _CALLS:
            call = wrapped(name, getattr(os, name))
            stack.enter_context(mock.patch.object(os, name, call))
        yield lambda: len(calls) >= number


def each_call(run: Callable[[int], bool], *, at_least: int) -> None:
    """Runs something once for each of its calls.

    Args:
      run: runs it, with something happening at a call; returns whether that call was
        made.
      at_least: how many calls there must be, so that the test tests something.
    """
    number = 1
    while run(number):
        number += 1
    assert number > at_least
