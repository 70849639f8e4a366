"""Finds the members of tars by their headers, without reading what lies between."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from imagenet2012_subset.archive_file import ArchiveFile
from imagenet2012_subset.tar_headers import BLOCK, parse_plain
from imagenet2012_subset.tar_part import Part, Tar, TarMembers

# 256 headers asked for ahead are what one disk serves at its best; more gain nothing.
IN_FLIGHT = 256
# To find where a part begins takes as long as to walk a few dozen members.
MEMBERS_A_PART = 1024


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
    each is asked for ahead, and read when its turn comes round again. Where there are
    fewer tars than that, long ones are cut in parts.

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
    in_step = _InStep(file, max(1, in_flight // 2))
    walks: list[_TarWalk] = []
    reported = finished = 0
    while True:
        room = in_flight - len(in_step.parts)
        for tar in itertools.islice(waiting, room):
            walks.append(_TarWalk(file, tar))
            in_step.add([walks[-1].part])
        if not walks:
            return
        if len(in_step.parts) < in_flight:
            for part in list(in_step.parts):
                in_step.add(part.cut(members_a_part, in_flight - len(in_step.parts)))
        in_step.pass_headers()
        done = [one for one in walks if one.part.is_done and one.join()]
        walks = [one for one in walks if not one.is_done]
        finished += sum(one.tar.end - one.tar.start for one in done)
        passed = finished + sum(one.passed for one in walks)
        on_progress(passed - reported)
        reported = passed
        for one in done:
            yield one.tar, one.found


class _InStep:
    """Parts that go from header to header in turn.

    Attributes:
      parts: those that are not done.
    """

    def __init__(self, file: ArchiveFile, batch: int):
        self.parts: list[Part] = []
        self._file = file
        self._batch = batch
        self._blocks = np.zeros((batch, BLOCK), np.uint8)
        self._rows = [memoryview(self._blocks[i]) for i in range(batch)]

    def add(self, parts: Sequence[Part]) -> None:
        """Lets further parts walk along."""
        self.parts += self._ask_for_headers(parts)

    def pass_headers(self) -> None:
        """Takes each part a header further."""
        # While the headers of one batch are parsed, the disk fetches another's.
        for start in range(0, len(self.parts), self._batch):
            self._pass_headers(self.parts[start : start + self._batch])
        self.parts = [part for part in self.parts if not part.is_done]

    def _pass_headers(self, parts: Sequence[Part]) -> None:
        parts = [part for part in parts if not part.is_done]
        self._file.read_each(self._rows, [part.position for part in parts])
        headers = parse_plain(self._blocks[: len(parts)])
        for part, block, is_plain, name, size in zip(
            parts, self._rows, *headers, strict=False
        ):
            # An earlier part of the same tar may just have dropped it.
            if not part.is_done:
                part.pass_header(block, is_plain, name, size)
        self._ask_for_headers(parts)

    def _ask_for_headers(self, parts: Sequence[Part]) -> list[Part]:
        """Lets the disk fetch the next header of those not done; returns them."""
        going_on = [part for part in parts if not part.is_done]
        for part in going_on:
            self._file.will_need(part.position, BLOCK)
        return going_on


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
