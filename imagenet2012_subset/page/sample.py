"""A few of many, each class with its fair share."""

from __future__ import annotations

import collections
from typing import Generic, TypeVar

T = TypeVar("T")


class FairSample(Generic[T]):
    """Keeps the first of what is offered of each class, up to a number of all.

    No class is cut down to less than another keeps, but for one: all of a rare class
    are kept before a frequent one is given more.
    """

    def __init__(self, capacity: int):
        """Makes a sample of nothing.

        Args:
          capacity: how many to keep of all classes together.
        """
        self._capacity = capacity
        self._kept: dict[int, list[T]] = collections.defaultdict(list)
        self._size = 0

    def wants(self, label: int) -> bool:
        """Whether one more of a class would be kept."""
        if self._size < self._capacity:
            return True
        longest = max(map(len, self._kept.values()), default=0)
        return len(self._kept[label]) + 1 < longest

    def add(self, label: int, item: T) -> None:
        """Keeps an item, which may cost the class with the most its last one.

        Raises:
          ValueError: if the sample does not want it.
        """
        if not self.wants(label):
            raise ValueError(f"there are enough of class {label}")
        if self._size == self._capacity:
            max(self._kept.values(), key=len).pop()
            self._size -= 1
        self._kept[label].append(item)
        self._size += 1

    def by_label(self) -> dict[int, list[T]]:
        """Returns what is kept of each class, in the order of coming."""
        return {label: kept for label, kept in sorted(self._kept.items()) if kept}
