"""`imagenet2012-subset page`, and what stands beside it."""

from __future__ import annotations

import os
import re

import pytest

from imagenet2012_subset.__main__ import main


def test_the_command_writes_a_page_and_says_where(build, tmp_path, capsys):
    folder, output = build().data_path, tmp_path / "page.html"
    capsys.readouterr()
    assert main(["page", str(folder), "--output", str(output)]) == 0
    assert capsys.readouterr().out.strip() == str(output)
    assert output.read_text().endswith("</html>")


def test_by_default_the_page_is_named_for_the_dataset(build, tmp_path, monkeypatch):
    folder = str(build().data_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["page", folder]) == 0
    assert os.listdir() == ["imagenet2012_subset-small-5.0.0.html"]


def test_the_command_tells_what_is_wrong(tmp_path, capsys):
    assert main(["page", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{tmp_path}: has no dataset_info.json.")
    assert printed.out == ""


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert re.fullmatch(r"imagenet2012-subset \d+\.\d+\.\d+\n", capsys.readouterr().out)
