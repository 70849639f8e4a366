"""The findings of a check, as text and as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from imagenet2012_subset.errors import DatasetError

BUILD_AGAIN = "Build the dataset again"

_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
      ok: whether the check passed.
      subject: what was checked, such as a file's name or a split.
      message: what was found; if the check failed, also what to do.
      facts: the same in numbers.
    """

    ok: bool
    subject: str
    message: str
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


class Report:
    """The findings about a directory.

    Attributes:
      path: the directory.
      findings: in the order in which the checks were made.
      remarks: notes for the verdict, even if every check passed.
    """

    def __init__(self, path: str):
        self.path = path
        self.findings: list[Finding] = []
        self.remarks: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(finding.ok for finding in self.findings)

    def add(self, ok: bool, subject: str, message: str, **facts: Any) -> None:
        """Adds a finding."""
        self.findings.append(Finding(ok, subject, message, facts))

    def add_error(self, subject: str, error: DatasetError, **facts: Any) -> None:
        """Adds an error as a failed check."""
        self.add(False, subject, f"{error.problem}. {error.remedy}", **facts)

    def include(self, other: Report, prefix: str) -> None:
        """Adds everything from another report, whose subject is `prefix`."""
        for one in other.findings:
            subject = f"{prefix} {one.subject}"
            self.findings.append(dataclasses.replace(one, subject=subject))
        self.remarks += [f"{prefix} {remark}" for remark in other.remarks]

    def to_json(self) -> str:
        """Returns all findings with their facts as a JSON object."""
        return json.dumps(
            {
                "path": self.path,
                "ok": self.ok,
                "remarks": self.remarks,
                "findings": [dataclasses.asdict(finding) for finding in self.findings],
            },
            indent=2,
        )

    def to_text(self) -> str:
        """Returns the verdict, then a line for each finding."""
        wrong = sum(not finding.ok for finding in self.findings)
        failed = [f"{wrong} of {len(self.findings)} checks failed"] if wrong else []
        verdict = "; ".join(failed + self.remarks) or "all well"
        lines = [f"{self.path}: {verdict}"]
        for finding in self.findings:
            mark = "ok    " if finding.ok else "WRONG "
            lines.append(f"  {mark}{finding.subject}: {finding.message}")
        return "\n".join(lines)


class Problems:
    """The problems of many images or shards, grouped by kind."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, list[str]]] = {}  # Remedy and examples.
        self._messages: dict[str, str] = {}

    def add(self, kind: str, example: str, remedy: str = BUILD_AGAIN) -> None:
        """Adds one problem.

        Args:
          kind: what is wrong, in the plural, such as `images missing`.
          example: which image or shard has the problem.
          remedy: what to do about problems of this kind.
        """
        self._kinds.setdefault(kind, (remedy, []))[1].append(example)

    def add_message(self, kind: str, message: str) -> None:
        """Adds a problem that concerns no single image or shard."""
        self._messages[kind] = message

    def report(self, report: Report, subject: str, well: str, **facts: Any) -> None:
        """Adds a finding for each kind of problem, or one if there is no problem.

        Args:
          report: to add to.
          subject: what was checked.
          well: the message if there is no problem.
          **facts: the facts if there is no problem.
        """
        for kind, (remedy, examples) in self._kinds.items():
            count = len(examples)
            shown = ", ".join(examples[:_SHOWN])
            if count > _SHOWN:
                shown += ", ...; --json lists all"
            message = f"{count:,} {kind} ({shown}). {remedy}"
            report.add(False, subject, message, kind=kind, count=count, all=examples)
        for kind, message in self._messages.items():
            report.add(False, subject, message, kind=kind)
        if not self._kinds and not self._messages:
            report.add(True, subject, well, **facts)
