"""What the tests of direct reads share: where there are any, and faults of theirs."""

from __future__ import annotations

import os

import numpy as np
import pytest
from etils import epath

from imagenet2012_subset.storage.linux_aio import ALIGNMENT, LinuxAio
from imagenet2012_subset.storage.local_file import LocalFile


def open_for_direct_reads(path: epath.Path) -> LocalFile:
    """Opens a file that can be read directly; skips the test where none can."""
    try:
        LinuxAio(os.fspath(path), 1, ALIGNMENT).close()
    except OSError:
        pytest.skip("this platform or file system has no direct asynchronous reads")
    return LocalFile(path)


def end_all(monkeypatch: pytest.MonkeyPatch, result: int, after: int = 0) -> None:
    """Lets every direct read give nothing but zeros, after so many that went well.

    Args:
      result: what the kernel says of each: a length in bytes, or an error below zero.
      after: how many reads are to go well before.
    """
    wait = LinuxAio.wait
    num_done = 0

    def wait_and_fail(self, at_least):
        nonlocal num_done
        slots, lengths = wait(self, at_least)
        for i, slot in enumerate(slots.tolist()):
            num_done += 1
            if num_done > after:
                self.views[slot][:] = bytes(self.slot_bytes)
                lengths[i] = result
        return slots, lengths

    monkeypatch.setattr(LinuxAio, "wait", wait_and_fail)


def submit_at_most(monkeypatch: pytest.MonkeyPatch, most: int | None) -> list[int]:
    """Lets the kernel take so many direct reads a call, or all that it is given.

    Returns:
      How many each call was given; it grows with every call.
    """
    submit = LinuxAio.submit
    given = []

    def submit_first(self, slots, offsets, lengths):
        given.append(len(slots))
        return submit(self, slots[:most], offsets[:most], lengths[:most])

    monkeypatch.setattr(LinuxAio, "submit", submit_first)
    return given


def note_reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Returns the offset and length of each direct read; it grows with every one."""
    submit = LinuxAio.submit
    reads: list[tuple[int, int]] = []

    def submit_and_note(self, slots, offsets, lengths):
        reads.extend(zip(np.asarray(offsets).tolist(), lengths.tolist(), strict=True))
        return submit(self, slots, offsets, lengths)

    monkeypatch.setattr(LinuxAio, "submit", submit_and_note)
    return reads


def note_set_ups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the path of each file for which direct reads are set up; it grows."""
    set_up = LinuxAio.__init__
    paths: list[str] = []

    def set_up_and_note(self, path, capacity, slot_bytes):
        paths.append(os.path.realpath(path))
        set_up(self, path, capacity, slot_bytes)

    monkeypatch.setattr(LinuxAio, "__init__", set_up_and_note)
    return paths


def num_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
