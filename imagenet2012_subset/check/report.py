"""The findings of a check, as text and as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from imagenet2012_subset.errors import DatasetError

BUILD_AGAIN = "Build the dataset again"

_SHOWN = 3


@dataclasses.dataclass
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

    def add_problem(
        self, subject: str, kind: str, example: str, remedy: str = BUILD_AGAIN
    ) -> None:
        """Adds one of many problems; those of a kind share a finding.

        Args:
          subject: what was checked.
          kind: what is wrong, in the plural, such as `images missing`.
          example: which image or file has the problem.
          remedy: what to do about problems of this kind.
        """
        for finding in self.findings:
            if (finding.subject, finding.facts.get("kind")) == (subject, kind):
                break
        else:
            finding = Finding(False, subject, "", {"kind": kind, "count": 0, "all": []})
            self.findings.append(finding)
        examples = finding.facts["all"]
        examples.append(example)
        finding.facts["count"] = len(examples)
        shown = ", ".join(examples[:_SHOWN])
        if len(examples) > _SHOWN:
            shown += ", ...; --json lists all"
        finding.message = f"{len(examples):,} {kind} ({shown}). {remedy}"

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
