"""`python -m imagenet2012_subset check` as a script sees it: status, output, errors."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import imagenet2012_subset
from imagenet2012_subset.__main__ import main

_CHECKOUT = pathlib.Path(imagenet2012_subset.__file__).parent.parent


def _check(
    *arguments: object, cwd: pathlib.Path, **options: object
) -> subprocess.CompletedProcess[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    encoding = streams.pop("encoding", "utf-8")
    return subprocess.run(
        [sys.executable, "-m", "imagenet2012_subset", "check", *map(str, arguments)],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": str(_CHECKOUT),
            "PYTHONIOENCODING": encoding,
        },
        encoding=encoding,
        check=False,
        **streams,
    )


def test_status_of_a_check_that_fails(small_data, tmp_path):
    checked = _check("manual/", cwd=tmp_path)
    assert checked.returncode == 1
    assert checked.stdout.startswith("manual: ")


@pytest.mark.parametrize("arguments", [["nowhere"], ["data", "--subset_list", "none"]])
def test_error_as_text_and_as_json(build, tmp_path, arguments, monkeypatch, capsys):
    if arguments[0] == "data":
        arguments = [str(build().data_path), *arguments[1:]]
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["check", *arguments]) == 1
    as_text = capsys.readouterr()
    assert as_text.out == ""
    last = as_text.err.splitlines()[-1]
    assert last.startswith(("nowhere: does not exist", "none: cannot be read"))
    assert main(["check", "--json", *arguments]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    (finding,) = report["findings"]
    assert f"{finding['subject']}: {finding['message']}" == last


@pytest.mark.parametrize("number", ["0", "50001", "60000", "1.5", "many", ""])
def test_invalid_number_of_images(tmp_path, capsys, number):
    with pytest.raises(SystemExit) as caught:
        main(["check", str(tmp_path), "--validation_images", number])
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert f"must be a number from 1 to 50,000, not {number!r}" in printed


def test_path_that_standard_output_cannot_encode(build, tmp_path):
    built = build(data_dir=tmp_path / "数据", file_format="array_record")
    folder = pathlib.Path(built.data_path)
    checked = _check(folder, "--decode", cwd=tmp_path, encoding="ascii")
    assert checked.returncode == 0, checked.stderr
    assert r"\u6570\u636e" in checked.stdout
    assert "train: 6 records" in checked.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_for_output(build, tmp_path):
    folder = build(file_format="array_record").data_path
    with open("/dev/full", "w") as full:
        checked = _check(folder, "--decode", cwd=tmp_path, stdout=full, stderr=full)
        assert checked.returncode == 0
