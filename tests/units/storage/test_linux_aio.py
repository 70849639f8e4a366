"""The kernel's asynchronous reads, by themselves."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
import time

import numpy as np
import pytest
from etils import epath

from imagenet2012_subset.storage.linux_aio import ALIGNMENT, LinuxAio
from tests.shared import direct_reads

DATA = np.random.default_rng(0).bytes(20 * ALIGNMENT)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    direct_reads.open_for_direct_reads(epath.Path(path))  # Or the test is skipped.
    return os.fspath(path)


@pytest.fixture
def aio(path: str) -> LinuxAio:
    return LinuxAio(path, 10, ALIGNMENT)


def _submit(aio: LinuxAio, slots: list[int], pages: list[int]) -> int:
    lengths = np.full(len(slots), ALIGNMENT)
    return aio.submit(np.array(slots), np.array(pages) * ALIGNMENT, lengths)


def _page(number: int) -> bytes:
    return DATA[number * ALIGNMENT : (number + 1) * ALIGNMENT]


def test_each_slot_gets_the_page_that_was_asked_for(aio):
    assert _submit(aio, [7, 2, 5], [19, 0, 4]) == 3
    done: list[int] = []
    while len(done) < 3:
        slots, lengths = aio.wait(1)
        assert set(lengths.tolist()) == {ALIGNMENT}
        done += slots.tolist()
    assert sorted(done) == [2, 5, 7]
    assert [bytes(aio.views[slot]) for slot in (7, 2, 5)] == [
        _page(19),
        _page(0),
        _page(4),
    ]


def test_a_signal_does_not_end_the_wait(aio):
    # Nothing is under way: what is waited for is asked for by the signal's handler.
    def ask(number, frame):
        asked.append(_submit(aio, [3], [11]))

    asked: list[int] = []
    before = signal.signal(signal.SIGUSR1, ask)
    main = threading.get_ident()
    timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1))
    timer.start()
    try:
        slots, _ = aio.wait(1)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert asked == [1]
    assert slots.tolist() == [3]
    assert bytes(aio.views[3]) == _page(11)


def test_no_more_is_started_than_there_is_room_for(aio):
    started = 0
    for _ in range(1000):  # The kernel rounds the number of events up.
        now = _submit(aio, [0] * 10, [0] * 10)
        started += now
        if now < 10:
            break
    else:
        pytest.fail("the kernel takes any number of reads")
    left = started
    while left:
        left -= len(aio.wait(1)[0])


def test_more_reads_than_the_kernel_has_are_refused_and_nothing_stays_open(path):
    before = direct_reads.num_open_files()
    with pytest.raises(OSError, match="Invalid argument"):
        LinuxAio(path, 1 << 30, ALIGNMENT)
    assert direct_reads.num_open_files() == before


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        LinuxAio(os.fspath(tmp_path / "none"), 10, ALIGNMENT)


def test_closing_ends_what_is_under_way_and_may_be_repeated(path):
    before = direct_reads.num_open_files()
    aio = LinuxAio(path, 10, ALIGNMENT)
    _submit(aio, list(range(10)), list(range(10)))
    aio.close()
    aio.close()
    assert direct_reads.num_open_files() == before


@pytest.mark.parametrize(
    ("seconds_a_call", "is_slow"), [(0.0, False), (0.001, False), (0.01, True)]
)
def test_slow_is_what_takes_long_to_submit(aio, monkeypatch, seconds_a_call, is_slow):
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += seconds_a_call
        return now

    monkeypatch.setattr(time, "perf_counter", clock)
    for _ in range(99):
        assert _submit(aio, list(range(10)), list(range(10))) == 10
        left = 10
        while left:
            left -= len(aio.wait(1)[0])
        assert not aio.is_slow  # Too few to tell.
    _submit(aio, list(range(10)), list(range(10)))
    assert aio.is_slow == is_slow


def test_now_and_then_a_long_wait_is_not_slow(aio, monkeypatch):
    """As when another thread keeps Python's lock: on average each read takes 3 ms."""
    now, num_calls = 0.0, 0

    def clock() -> float:
        nonlocal now, num_calls
        now += 0.1 if num_calls % 6 == 1 else 0.0  # A third of the submissions end so.
        num_calls += 1
        return now

    monkeypatch.setattr(time, "perf_counter", clock)
    for _ in range(300):
        assert _submit(aio, list(range(10)), list(range(10))) == 10
        left = 10
        while left:
            left -= len(aio.wait(1)[0])
    assert not aio.is_slow
