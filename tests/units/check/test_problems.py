"""What a check says of problems: how many of each kind, the first few, what to do."""

from __future__ import annotations

import dataclasses
import json

import pytest

from imagenet2012_subset.check.files import BUILD_AGAIN
from imagenet2012_subset.check.problems import Problems
from imagenet2012_subset.check.report import Finding, Report


def reported(problems: Problems) -> list[Finding]:
    report = Report("a folder")
    problems.report(report, "train", "all are right", 12_345)
    return report.findings


def test_without_problems_all_is_well():
    facts = {"records": 12_345}
    assert reported(Problems()) == [Finding(True, "train", "all are right", facts)]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("a", "1 images missing (a)"),
        ("abc", "3 images missing (a, b, c)"),
        ("abcd", "4 images missing (a, b, c, ...)"),
        ("abcdefg", "7 images missing (a, b, c, ...)"),
    ],
)
def test_the_first_three_of_a_kind_are_named(names, shown):
    problems = Problems()
    for name in names:
        problems.add("images missing", name)
    (finding,) = reported(problems)
    assert not finding.ok
    assert finding.subject == "train"
    assert finding.message == f"{shown}. {BUILD_AGAIN}"
    assert finding.facts == {"kind": "images missing", "count": len(names)}


def test_each_kind_has_a_finding_with_its_own_remedy():
    problems = Problems()
    problems.add("images missing", "a", "Look for it")
    problems.add("wrong labels", "b is c")
    problems.add("images missing", "d", "Look for it")
    problems.say("other names", "the names are others")
    assert [finding.message for finding in reported(problems)] == [
        "2 images missing (a, d). Look for it",
        f"1 wrong labels (b is c). {BUILD_AGAIN}",
        "the names are others",
    ]


def test_a_problem_of_the_whole_alone_is_not_well():
    problems = Problems()
    problems.say("list unknown", "nobody knows")
    facts = {"kind": "list unknown"}
    assert reported(problems) == [Finding(False, "train", "nobody knows", facts)]


def test_a_report_is_the_same_as_text_and_as_json():
    report = Report("a folder")
    report.add(True, "train", "all there", images=3)
    assert report.ok
    assert report.to_text() == "a folder: all well\n  ok    train: all there"
    report.add(False, "validation", "one lacks")
    assert not report.ok
    assert report.to_text() == (
        "a folder: 1 of 2 checks failed\n"
        "  ok    train: all there\n"
        "  WRONG validation: one lacks"
    )
    assert json.loads(report.to_json()) == {
        "path": "a folder",
        "ok": False,
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
    }
