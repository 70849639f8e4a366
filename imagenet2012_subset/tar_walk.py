"""Finds the members of tars by their headers, without reading what lies between."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator

from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.block_reads import BlockReads
from imagenet2012_subset.tar_headers import parse_plain
from imagenet2012_subset.tar_part import Part, Tar, TarMembers

# 256 headers asked for ahead are what one disk serves at its best; more gain nothing.
IN_FLIGHT = 256
# To find where a part begins takes as long as to walk a few dozen members.
MEMBERS_A_PART = 1024

# To sum up how far all have come takes as long as to pass a dozen headers.
_REPORT_SECONDS = 0.05


def walk(
    file: ArchiveFile,
    tars: Iterable[Tar],
    *,
    in_flight: int = IN_FLIGHT,
    members_a_part: int = MEMBERS_A_PART,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Tar, TarMembers]]:
    """Yields each tar with its regular files, in the order in which they are done.

    A header says where the next one is, so one tar takes as many reads after each
    other as it has members. Many tars are therefore walked in step: the next header of
    each is asked for ahead, and taken as soon as it is there. Where there are fewer
    tars than that, long ones are cut in parts.

    Args:
      file: the archive that holds the tars.
      tars: which of its parts to walk.
      in_flight: how many headers to ask for ahead.
      members_a_part: how many members a part of a tar has at the least, about.
      on_progress: called with the number of bytes passed since the last call; below
        zero where some have to be passed again.

    Raises:
      ArchiveError: if a header is invalid, or a member reaches past its tar's end.
        A tar may end without end-of-archive blocks: what is missing then is found out
        by what was to be in it.
    """
    waiting = iter(tars)
    walks: list[_TarWalk] = []
    reported = finished = 0
    next_report = 0.0
    with contextlib.closing(_InStep(file, in_flight)) as in_step:
        while True:
            starting = [
                _TarWalk(file, tar) for tar in itertools.islice(waiting, in_step.room)
            ]
            in_step.add([one.part for one in starting])
            walks += starting
            if not walks:
                return
            if in_step.room:
                for part in [one.part for one in walks if one.part.may_be_cut]:
                    in_step.add(part.cut(members_a_part, in_step.room))
            in_step.pass_headers()
            done = [one for one in walks if one.part.is_done and one.join()]
            if done or time.monotonic() > next_report:
                walks = [one for one in walks if not one.is_done]
                finished += sum(one.tar.end - one.tar.start for one in done)
                passed = finished + sum(one.passed for one in walks)
                on_progress(passed - reported)
                reported = passed
                next_report = time.monotonic() + _REPORT_SECONDS
            for one in done:
                yield one.tar, one.found


class _InStep:
    """Parts that go from header to header, each as soon as its next one is there."""

    def __init__(self, file: ArchiveFile, in_flight: int):
        self._in_flight = in_flight
        self._reads: BlockReads[Part] = BlockReads(file, in_flight)

    @property
    def room(self) -> int:
        """How many parts more can walk along."""
        return self._in_flight - self._reads.under_way

    def add(self, parts: Iterable[Part]) -> None:
        """Lets further parts walk along."""
        going_on = [part for part in parts if not part.is_done]
        if going_on:
            self._reads.ask(going_on, [part.position for part in going_on])

    def pass_headers(self) -> None:
        """Takes some parts a header further: those whose headers are there first."""
        parts, blocks = self._reads.take()
        rows = [memoryview(blocks[i]) for i in range(len(parts))]
        for part, block, is_plain, name, size in zip(
            parts, rows, *parse_plain(blocks), strict=True
        ):
            # An earlier part of the same tar may have dropped it.
            if not part.is_done:
                part.pass_header(block, is_plain, name, size)
        self.add(parts)

    def close(self) -> None:
        """Ends the reads that are under way."""
        self._reads.close()


class _TarWalk:
    """What is certain of a tar: its parts, joined from the first one on.

    Attributes:
      tar: what is walked.
      part: the first that is not joined, which begins where the ones before ended.
      found: the regular files of those that are.
      is_done: whether all are.
    """

    def __init__(self, file: ArchiveFile, tar: Tar):
        self.tar = tar
        self.part = Part(file, tar, tar.start)
        self.found = TarMembers([], [], [], [])
        self.is_done = False

    @property
    def passed(self) -> int:
        """How many bytes all parts together have gone through."""
        passed = self.part.start - self.tar.start
        part: Part | None = self.part
        while part:
            passed += part.passed
            part = part.next
        return passed

    def join(self) -> bool:
        """Joins the parts that are certain by now; returns `is_done`.

        Raises:
          ArchiveError: why the first that is not joined cannot go on.
        """
        while self.part.is_done and not self.is_done:
            if self.part.error:
                raise self.part.error
            self.found.extend(self.part.found)
            self.is_done = self.part.next is None
            self.part = self.part.next or self.part
        return self.is_done
