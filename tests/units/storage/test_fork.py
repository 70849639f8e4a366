"""A process that forks while a file is open: the child leaves the parent's reads be."""

import gc
import os
import pathlib
import sys

import numpy as np
import pytest
from etils import epath

from imagenet2012_subset.storage.in_order import read_in_order
from imagenet2012_subset.storage.local_file import LocalFile
from imagenet2012_subset.storage.queue import Extent

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")

NUM_EXTENTS = 40
SIZE = 5000


@pytest.fixture
def path(tmp_path) -> epath.Path:
    path = epath.Path(tmp_path / "archive.tar")
    path.write_bytes(np.random.default_rng(0).bytes(NUM_EXTENTS * SIZE))
    return path


def _extents() -> list[Extent]:
    return [Extent(number * SIZE, SIZE) for number in range(NUM_EXTENTS)]


def _read(file: LocalFile) -> bytes:
    return b"".join(map(bytes, read_in_order(file, _extents())))


def _in_child(tmp_path: pathlib.Path, action) -> tuple[int, str]:
    """Runs an action in a forked process; returns its status and what it printed."""
    errors = tmp_path / "stderr"
    child = os.fork()
    if not child:
        status = 1
        try:
            # What `__del__` raises is printed, not raised; pytest would keep it.
            sys.unraisablehook = sys.__unraisablehook__
            descriptor = os.open(errors, os.O_WRONLY | os.O_CREAT)
            os.dup2(descriptor, 2)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            action()
            gc.collect()
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), errors.read_text()


# What a test holds in a list is freed in the child when the list is cleared.


def test_a_child_that_ends_says_nothing(path, tmp_path):
    held = [LocalFile(path)]
    content = _read(held[0])
    assert _in_child(tmp_path, held.clear) == (0, "")
    assert _read(held[0]) == content


def test_a_child_that_ends_amid_reads_says_nothing(path, tmp_path):
    reads = [read_in_order(LocalFile(path), _extents())]
    first = bytes(next(reads[0]))
    assert _in_child(tmp_path, reads.clear) == (0, "")
    assert first + b"".join(map(bytes, reads[0])) == path.read_bytes()


def test_a_child_reads_the_right_bytes(path, tmp_path):
    file = LocalFile(path)
    content = _read(file)

    def read_both() -> None:
        ours = LocalFile(path)
        both = zip(
            read_in_order(ours, _extents()),
            read_in_order(file, _extents()),
            strict=True,
        )
        for number, (one, other) in enumerate(both):
            right = content[number * SIZE : (number + 1) * SIZE]
            assert one == right
            assert other == right

    assert _in_child(tmp_path, read_both) == (0, "")
    assert _read(file) == content
