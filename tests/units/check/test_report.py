"""Reports as text and JSON, and problems grouped by kind."""

import dataclasses
import json

import pytest

from imagenet2012_subset.check.report import BUILD_AGAIN, Finding, Report


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("a", "1 images missing (a)"),
        ("abc", "3 images missing (a, b, c)"),
        ("abcdefg", "7 images missing (a, b, c, ...; --json lists all)"),
    ],
)
def test_text_shows_three_problems_of_a_kind_and_facts_list_all(names, shown):
    report = Report("a folder")
    for name in names:
        report.add_problem("train", "images missing", name)
    (finding,) = report.findings
    assert not finding.ok
    assert finding.subject == "train"
    assert finding.message == f"{shown}. {BUILD_AGAIN}"
    assert finding.facts == {
        "kind": "images missing",
        "count": len(names),
        "all": list(names),
    }


def test_each_kind_of_a_subject_has_a_finding_with_its_remedy():
    report = Report("a folder")
    report.add_problem("train", "images missing", "a", "Look for it")
    report.add_problem("train", "wrong labels", "b is c")
    report.add_problem("validation", "images missing", "e")
    report.add_problem("train", "images missing", "d", "Look for it")
    assert [(one.subject, one.message) for one in report.findings] == [
        ("train", "2 images missing (a, d). Look for it"),
        ("train", f"1 wrong labels (b is c). {BUILD_AGAIN}"),
        ("validation", f"1 images missing (e). {BUILD_AGAIN}"),
    ]


def test_report_as_text_and_as_json():
    report = Report("a folder")
    report.add(True, "train", "all exist", images=3)
    assert report.ok
    assert report.to_text() == "a folder: all well\n  ok    train: all exist"
    report.remarks.append("cut on purpose")
    assert report.to_text().startswith("a folder: cut on purpose\n")
    report.add(False, "validation", "one is missing")
    assert not report.ok
    assert report.to_text() == (
        "a folder: 1 of 2 checks failed; cut on purpose\n"
        "  ok    train: all exist\n"
        "  WRONG validation: one is missing"
    )
    assert json.loads(report.to_json()) == {
        "path": "a folder",
        "ok": False,
        "remarks": ["cut on purpose"],
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
    }


def test_report_of_several_directories():
    first, both = Report("first"), Report("both")
    first.add(False, "train", "one is missing", count=1)
    first.remarks.append("cut on purpose")
    both.include(first, "small/5.0.0")
    facts = {"count": 1}
    assert both.findings == [
        Finding(False, "small/5.0.0 train", "one is missing", facts)
    ]
    assert both.remarks == ["small/5.0.0 cut on purpose"]
