"""Runs `check` as a script does, and reads what it says."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from imagenet2012_subset.__main__ import main


class Checked(NamedTuple):
    """What a check said.

    Attributes:
      status: the command's exit status.
      findings: all of them, by what was looked at.
    """

    status: int
    findings: dict[str, list[dict[str, Any]]]

    @property
    def wrong(self) -> dict[str, list[str]]:
        """The messages of what is not well, by what was looked at."""
        wrong = {
            subject: [finding["message"] for finding in found if not finding["ok"]]
            for subject, found in self.findings.items()
        }
        return {subject: messages for subject, messages in wrong.items() if messages}


def run_check(capsys: pytest.CaptureFixture[str], *arguments: object) -> Checked:
    """Runs `check --json`; the status has to fit what it says."""
    capsys.readouterr()
    status = main(["check", "--json", *map(str, arguments)])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (status == 0)
    findings: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        findings.setdefault(finding["subject"], []).append(finding)
    return Checked(status, findings)
