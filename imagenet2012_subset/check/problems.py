"""Problems of many records, counted by kind."""

from __future__ import annotations

import collections

from imagenet2012_subset.check.files import BUILD_AGAIN
from imagenet2012_subset.check.report import Report

_SHOWN = 3


class Problems:
    """Counts problems of a kind, and remembers the first few."""

    def __init__(self) -> None:
        self._counts: collections.Counter[str] = collections.Counter()
        self._examples: dict[str, list[str]] = {}
        self._remedies: dict[str, str] = {}
        self._messages: dict[str, str] = {}

    def add(self, kind: str, example: str, remedy: str = BUILD_AGAIN) -> None:
        """Counts a problem.

        Args:
          kind: what is wrong, of several such as `images missing`.
          example: which one.
          remedy: what to do about problems of this kind.
        """
        self._counts[kind] += 1
        self._remedies[kind] = remedy
        examples = self._examples.setdefault(kind, [])
        if len(examples) < _SHOWN:
            examples.append(example)

    def say(self, kind: str, message: str) -> None:
        """Adds a problem of the whole, of which there is one."""
        self._messages[kind] = message

    def report(self, report: Report, subject: str, well: str, num_records: int) -> None:
        """Adds a finding for each kind; `well` where there are none."""
        for kind, count in self._counts.items():
            more = ", ..." if count > _SHOWN else ""
            shown = ", ".join(self._examples[kind]) + more
            message = f"{count:,} {kind} ({shown}). {self._remedies[kind]}"
            report.add(False, subject, message, kind=kind, count=count)
        for kind, message in self._messages.items():
            report.add(False, subject, message, kind=kind)
        if not self._counts and not self._messages:
            report.add(True, subject, well, records=num_records)
