"""`python -m imagenet2012_subset check` as a script sees it: status, output, errors."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import imagenet2012_subset
from imagenet2012_subset.imagenet.originals import TRAINING

_CHECKOUT = pathlib.Path(imagenet2012_subset.__file__).parent.parent


def _check(*arguments: object, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imagenet2012_subset", "check", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(_CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_status_says_whether_all_is_well(build, small_data):
    folder = pathlib.Path(build().data_path)
    well = _check("--validation_images", 5, "5.0.0/", cwd=folder.parent)
    assert (well.returncode, well.stdout.splitlines()[0]) == (0, "5.0.0: all well")
    wrong = _check("--validation_images", 6, ".", cwd=folder)
    assert wrong.returncode == 1
    assert "1 images missing (ILSVRC2012_val_00000006.JPEG)" in wrong.stdout


def test_archives_that_lack_images(small_data, tmp_path):
    checked = _check("manual", cwd=tmp_path)
    assert checked.returncode == 1
    assert TRAINING.how_to_get in checked.stdout


@pytest.mark.parametrize("arguments", [["nowhere"], ["data", "--subset_list", "none"]])
def test_an_error_is_text_or_json(build, tmp_path, arguments):
    if arguments[0] == "data":
        arguments = [build().data_path, *arguments[1:]]
    as_text = _check(*arguments, cwd=tmp_path)
    assert as_text.returncode == 1
    assert as_text.stdout == ""
    last = as_text.stderr.splitlines()[-1]
    assert last.startswith(("nowhere: does not exist", "none: cannot be read"))
    as_json = _check("--json", *arguments, cwd=tmp_path)
    assert as_json.returncode == 1
    report = json.loads(as_json.stdout)
    assert not report["ok"]
    (finding,) = report["findings"]
    assert f"{finding['subject']}: {finding['message']}" == last


def test_a_command_line_that_cannot_be(tmp_path):
    assert _check("--no_such_option", cwd=tmp_path).returncode == 2
