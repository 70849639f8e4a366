"""Walks run in step, or in threads where nothing prefetches."""

import threading
from unittest import mock

import pytest

from imagenet2012_subset.storage import files as files_module, in_step
from imagenet2012_subset.storage.files import Files, Range
from imagenet2012_subset.storage.in_step import Walk, Walks
from imagenet2012_subset.storage.open import find_files

pytestmark = pytest.mark.usefixtures("platform")


@pytest.fixture
def files(tmp_path) -> Files:
    path = tmp_path / "numbers"
    path.write_bytes(bytes(range(256)))
    return Files(find_files([str(path)]))


def _walk(walks: Walks, found: list[list[int]], start: int, length: int) -> Walk:
    mine: list[int] = []
    for at in range(start, start + length):
        data = yield Range(0, at, 1)
        mine += data
        walks.passed += 1
    found.append(mine)


def test_ranges_of_walks_in_step_are_prefetched(files, monkeypatch):
    if not files_module.HAS_ADVICE:
        pytest.skip("threads need no prefetching")
    calls = mock.Mock()
    for name in ("prefetch", "read"):
        getattr(calls, name).side_effect = getattr(files, name)
        monkeypatch.setattr(files, name, getattr(calls, name))
    files.in_step = 3
    walks = Walks(files)
    for _ in range(5):
        walks.add(_walk(walks, [], 0, 4))
    walks.run()
    events = [name for name, *_ in calls.mock_calls]
    assert events[:6] == ["prefetch"] * 3 + ["read", "prefetch", "read"]
    assert events.count("prefetch") == events.count("read") == 20


def test_walks_that_a_walk_adds_run_beside_it(files):
    # Each of them waits until all have started.
    barrier = threading.Barrier(8 if not files_module.HAS_ADVICE else 1)
    walks = Walks(files)
    found: list[list[int]] = []

    def inner() -> Walk:
        yield Range(0, 0, 1)
        barrier.wait(300)
        yield from _walk(walks, found, 0, 3)

    def outer() -> Walk:
        for _ in range(7):
            walks.add(inner())
            yield Range(0, 0, 1)
        barrier.wait(300)

    walks.add(outer())
    walks.run()
    assert found == [[0, 1, 2]] * 7


def test_an_error_stops_the_other_walks(files):
    walks = Walks(files)
    ended = threading.Event()

    def endless() -> Walk:
        try:
            while True:
                yield Range(0, 0, 1)
        finally:
            ended.set()

    def failing() -> Walk:
        yield Range(0, 0, 1)
        raise ZeroDivisionError

    walks.add(endless())
    walks.add(failing())
    with pytest.raises(ZeroDivisionError):
        walks.run()
    del walks
    assert ended.wait(300)


def test_progress_is_reported_while_walks_run(files, monkeypatch):
    monkeypatch.setattr(in_step, "_REPORT_SECONDS", 0)
    reported = threading.Event()
    walks = Walks(files, lambda step: step and reported.set())

    def walk() -> Walk:
        walks.passed += 1
        yield Range(0, 0, 1)
        yield Range(0, 0, 1)
        # Only threads report while a walk waits; the others report between two reads.
        assert reported.wait(0 if files_module.HAS_ADVICE else 300)

    walks.add(walk())
    walks.run()


def test_progress_is_not_reported_more_often_than_needed(files, monkeypatch):
    if not files_module.HAS_ADVICE:
        pytest.skip("with threads, each walk that ends is reported")
    monkeypatch.setattr(in_step, "_REPORT_SECONDS", 1000)
    progress: list[int] = []
    walks = Walks(files, progress.append)
    walks.add(_walk(walks, [], 0, 50))
    walks.run()
    assert progress == [50]
