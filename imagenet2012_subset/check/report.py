"""What a check found, for a person or for a script."""

from __future__ import annotations

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
      ok: whether it is as it should be.
      subject: what was looked at, such as a file's name or a split.
      message: what was found; where it is not ok, also what to do.
      facts: the same in numbers.
    """

    ok: bool
    subject: str
    message: str
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


class Report:
    """The findings about a folder."""

    def __init__(self, path: str):
        self.path = path
        self.findings: list[Finding] = []

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return all(finding.ok for finding in self.findings)

    def add(self, ok: bool, subject: str, message: str, **facts: Any) -> None:
        """Adds a finding."""
        self.findings.append(Finding(ok, subject, message, facts))

    def to_json(self) -> str:
        """Returns all findings with their facts as a JSON object."""
        findings = [dataclasses.asdict(finding) for finding in self.findings]
        return json.dumps(
            {"path": self.path, "ok": self.ok, "findings": findings}, indent=2
        )

    def to_text(self) -> str:
        """Returns a line for each finding, and the verdict first."""
        wrong = sum(not finding.ok for finding in self.findings)
        verdict = (
            f"{wrong} of {len(self.findings)} checks failed" if wrong else "all well"
        )
        lines = [f"{self.path}: {verdict}"]
        for finding in self.findings:
            mark = "ok    " if finding.ok else "WRONG "
            lines.append(f"  {mark}{finding.subject}: {finding.message}")
        return "\n".join(lines)
