"""What the tests of direct reads share: where there are any, and faults of theirs."""

from __future__ import annotations

import numpy as np
import pytest
from etils import epath

from imagenet2012_subset.archive_file import LocalFile
from imagenet2012_subset.linux_aio import ALIGNMENT, LinuxAio


def open_for_direct_reads(path: epath.Path) -> LocalFile:
    """Opens a file that can be read directly; skips the test where none can."""
    file = LocalFile(path)
    if not (aio := file.direct_reads(1, ALIGNMENT)):
        pytest.skip("this platform or file system has no direct asynchronous reads")
    aio.close()
    return file


def fail_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the disk fail at every direct read, and give nothing but zeros."""
    wait = LinuxAio.wait

    def wait_and_fail(self, at_least):
        places, lengths = wait(self, at_least)
        self.blocks[places] = 0
        return places, np.full_like(lengths, -5)

    monkeypatch.setattr(LinuxAio, "wait", wait_and_fail)


def submit_at_most(monkeypatch: pytest.MonkeyPatch, most: int | None) -> list[int]:
    """Lets the kernel take so many direct reads a call, or all that it is given.

    Returns:
      How many each call was given; it grows with every call.
    """
    submit = LinuxAio.submit
    given = []

    def submit_first(self, places, offsets, lengths):
        given.append(len(places))
        return submit(self, places[:most], offsets[:most], lengths[:most])

    monkeypatch.setattr(LinuxAio, "submit", submit_first)
    return given
