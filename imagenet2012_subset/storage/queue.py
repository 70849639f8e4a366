"""Many reads of one file under way at once, taken as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Extent(NamedTuple):
    """A stretch of a file: its first byte and its length, both in bytes."""

    offset: int
    size: int


class ReadQueue(Protocol):
    """Reads under way, each into a slot that the caller chooses.

    A slot keeps what was read until it is asked for again.
    """

    def ask(
        self,
        slots: Sequence[int],
        extents: Sequence[Extent],
        ends: Sequence[int] | None = None,
    ) -> None:
        """Starts to read an extent into each slot.

        Args:
          slots: 0 up to the queue's capacity; none that is under way.
          extents: what to read, one for each slot.
          ends: the byte up to which the reader will go on from each, step by step, in
            the same slot. What lies on the way may be read along, where that is
            quicker.
        """

    def take(self, at_least: int = 1) -> list[tuple[int, memoryview]]:
        """Waits for some reads, in whatever order they end.

        Args:
          at_least: how many to wait for, where there are none to be had without; no
            more than are under way.

        Returns:
          The slots that are done, each with its extent's bytes.

        Raises:
          ArchiveError: if the file cannot be read or ends before an extent does.
        """
