"""Runs `check` as a script does, and reads its report."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from imagenet2012_subset.__main__ import main


class Checked(NamedTuple):
    """The report of a check.

    Attributes:
      status: the command's exit status.
      findings: all findings by subject.
      remarks: what the verdict mentions although no check failed.
    """

    status: int
    findings: dict[str, list[dict[str, Any]]]
    remarks: list[str]

    @property
    def wrong(self) -> dict[str, list[str]]:
        """The messages of failed checks by subject."""
        wrong = {
            subject: [finding["message"] for finding in found if not finding["ok"]]
            for subject, found in self.findings.items()
        }
        return {subject: messages for subject, messages in wrong.items() if messages}

    @property
    def kinds(self) -> list[str]:
        """The kinds of problems, or else their subjects, in order."""
        return [
            finding["facts"].get("kind", subject)
            for subject, found in self.findings.items()
            for finding in found
            if not finding["ok"]
        ]


def run_check(capsys: pytest.CaptureFixture[str], *arguments: object) -> Checked:
    """Runs `check --json`; the exit status must agree with the report."""
    capsys.readouterr()
    status = main(["check", "--json", *map(str, arguments)])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (status == 0)
    findings: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        findings.setdefault(finding["subject"], []).append(finding)
    return Checked(status, findings, report["remarks"])
