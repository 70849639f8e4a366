"""Walks many pieces of tars at once, reading their headers and nothing else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from imagenet2012_subset.storage.file import File
from imagenet2012_subset.storage.queue import Extent
from imagenet2012_subset.tar.headers import BLOCK, parse_plain
from imagenet2012_subset.tar.piece import Piece

# So many headers take hardly longer to parse than one does.
_FEW = 16

# To sum up how far all have come takes as long as to pass a dozen headers.
_REPORT_SECONDS = 0.05


def no_progress(num_bytes: int) -> None:
    """Takes no note of how far a walk has come."""


def walk(
    file: File,
    pieces: Iterable[Piece],
    *,
    in_flight: int | None = None,
    on_progress: Callable[[int], None] = no_progress,
) -> Iterator[Piece]:
    """Yields pieces as they are done: at their end, or with an error.

    A header says where the next one is, so one piece takes as many reads after each
    other as it has members. Many pieces are therefore walked in step: the next header
    of each is asked for ahead, and passed as soon as it is there.

    Args:
      file: what holds the pieces.
      pieces: what to walk; asked for more whenever there is room, so that it may have
        some that the walk itself has found.
      in_flight: how many headers to ask for ahead; by default what serves the file
        best.
      on_progress: called with the number of bytes passed since the last call, and
        every few milliseconds.
    """
    in_flight = in_flight or file.small_in_flight
    waiting = iter(pieces)
    walking: dict[int, Piece] = {}
    free = list(range(in_flight))
    finished = reported = 0
    next_report = 0.0
    with file.queue(in_flight, BLOCK) as queue:
        going_on: dict[int, Piece] = {}
        done: dict[int, Piece] = {}
        while True:
            for piece in itertools.islice(waiting, len(free)):
                walking[slot := free.pop()] = piece
                (done if piece.is_done else going_on)[slot] = piece
            for slot, piece in done.items():
                del walking[slot]
                free.append(slot)
                finished += piece.passed
            queue.ask(
                list(going_on),
                [Extent(piece.position, BLOCK) for piece in going_on.values()],
                [piece.end for piece in going_on.values()],
            )
            if done or time.monotonic() > next_report:
                passed = finished + sum(piece.passed for piece in walking.values())
                on_progress(passed - reported)
                reported = passed
                next_report = time.monotonic() + _REPORT_SECONDS
            yield from done.values()
            if walking:
                at_least = min(len(walking), max(_FEW, len(walking) // 3))
                going_on, done = _pass_headers(walking, queue.take(at_least))
            elif not done:
                return
            else:
                going_on, done = {}, {}


def _pass_headers(
    walking: dict[int, Piece], taken: list[tuple[int, memoryview]]
) -> tuple[dict[int, Piece], dict[int, Piece]]:
    """Takes each piece past its header.

    Returns:
      The pieces that go on, by slot, and those that are done.
    """
    headers = b"".join(header for _, header in taken)
    plain = parse_plain(np.frombuffer(headers, np.uint8).reshape(-1, BLOCK))
    going_on, done = {}, {}
    for (slot, header), is_plain, name, size in zip(taken, *plain, strict=True):
        piece = walking[slot]
        if piece.pass_header(header, is_plain, name, size):
            done[slot] = piece
        else:
            going_on[slot] = piece
    return going_on, done
