"""Steps alone or whole stretches: what gives more steps a second goes on."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from imagenet2012_subset.storage.remote.stretches import ReadOn, stretch_of

IN_FLIGHT = 500
STRETCH = stretch_of(IN_FLIGHT)
STEP = 100 << 10


def _walk(
    step: int,
    seconds_a_read: float,
    seconds_a_byte: float,
    num_reads: int = 12 * IN_FLIGHT,
) -> tuple[ReadOn, list[int]]:
    """Walks a file whose steps all are as long; returns also the size of each read."""
    read_on = ReadOn(IN_FLIGHT)
    now = 0.0
    sizes = []
    for _ in range(num_reads):
        size = read_on.size
        sizes.append(size)
        steps = max(1, size // step)
        now += (seconds_a_read + size * seconds_a_byte) / IN_FLIGHT
        read_on.note_step(step * steps)
        read_on.note(1, steps, IN_FLIGHT, now)
    return read_on, sizes


def test_where_requests_take_long_stretches_are_read():
    read_on, _ = _walk(STEP, seconds_a_read=0.03, seconds_a_byte=1e-8)
    assert read_on.size == STRETCH


def test_where_bytes_take_long_steps_are_read_alone():
    read_on, sizes = _walk(STEP, seconds_a_read=0.001, seconds_a_byte=1e-6)
    assert read_on.size == 0
    assert 0 < sizes.count(STRETCH) <= 4 * IN_FLIGHT


@pytest.mark.parametrize("step", [STRETCH // 2, 10 * STRETCH])
def test_stretches_that_hold_one_step_are_not_even_tried(step):
    read_on, sizes = _walk(step, seconds_a_read=0.03, seconds_a_byte=0)
    assert not any(sizes)
    assert read_on.size == 0


@given(
    st.integers(512, STRETCH // 4),
    st.floats(1e-4, 1),
    st.floats(1e-9, 1e-5),
)
def test_the_quicker_way_is_chosen(step, seconds_a_read, seconds_a_byte):
    read_on, _ = _walk(step, seconds_a_read, seconds_a_byte)
    alone = 1 / seconds_a_read
    stretch = (STRETCH // step) / (seconds_a_read + STRETCH * seconds_a_byte)
    if not 0.99 < stretch / alone < 1.01:
        assert (read_on.size == STRETCH) == (stretch > alone)


def test_a_short_walk_is_never_asked_to_choose():
    _, sizes = _walk(STEP, 0.03, 1e-8, num_reads=4 * IN_FLIGHT)
    assert not any(sizes)


def test_what_pays_for_a_few_reads_is_asked_again_when_there_are_many():
    # All together they bring no more than one connection alone could.
    read_on = ReadOn(IN_FLIGHT)
    now = 0.0
    chosen = {}
    for under_way in (4, 8, 15, 16, 60, 120, 250, 500):
        for _ in range(12 * under_way):
            steps = max(1, read_on.size // STEP)
            seconds = 0.03 + read_on.size * 1e-8
            now += max(seconds / under_way, read_on.size * 1e-8)
            read_on.note_step(STEP)
            read_on.note(1, steps, under_way, now)
        chosen[under_way] = read_on.size
    assert chosen[4] == STRETCH
    assert chosen[500] == 0


def test_a_few_long_steps_are_no_reason_not_to_try():
    # As those of an outer tar between those of the inner ones.
    read_on = ReadOn(IN_FLIGHT)
    sizes = set()
    for number in range(9 * IN_FLIGHT):
        read_on.note_step(STEP if number % 3 else 1000 * STRETCH)
        read_on.note(1, 1, IN_FLIGHT, number / 1000)
        sizes.add(read_on.size)
    assert sizes == {0, STRETCH}
