"""The command `page`: it writes a complete page, or none and an error."""

from __future__ import annotations

import os
import pathlib
import re
import sys

import pytest
import tensorflow_datasets as tfds
from PIL import features

from imagenet2012_subset import DatasetError, WriteError
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.page import write
from imagenet2012_subset.page.write import write_page
from tests.builds.check.conftest import rewrite
from tests.shared import prepared


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    """A path for the page in an empty directory."""
    (tmp_path / "pages").mkdir()
    return tmp_path / "pages" / "page.html"


def _left(output: pathlib.Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


def _fails(dataset: pathlib.Path, output: pathlib.Path, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        write_page(dataset, output)
    assert caught.value.remedy
    assert _left(output) == []


def test_command_prints_where_it_writes(build, output, monkeypatch, capsys):
    folder = build().data_path
    capsys.readouterr()
    assert main(["page", str(folder), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert output.read_text().endswith("</html>")
    monkeypatch.chdir(output.parent)
    assert main(["page", str(folder)]) == 0
    named = output.with_name("imagenet2012_subset-small-5.0.0.html")
    assert capsys.readouterr().out == f"{named}\n"
    assert sorted(os.listdir()) == sorted([named.name, output.name])


def test_path_that_is_not_a_dataset(tmp_path, output, capsys):
    _fails(tmp_path / "absent", output, "absent: does not exist. Give the directory")
    assert main(["page", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{tmp_path}: has no dataset_info.json.")
    assert printed.out == ""


def _flip(path):
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes(64) + data[middle + 64 :])


def _no_records(path):
    prepared.change_json(path, splits=[])


def _blank_image(path):
    """This builder refuses such an image, but another may have prepared the dataset."""

    def blank(examples):
        image = examples[0].features.feature["image"].bytes_list
        image.value[0] = bytes(len(image.value[0]))

    rewrite(path, blank)


@pytest.mark.parametrize(
    ("name", "fault", "problem"),
    [
        ("dataset_info.json", lambda path: path.write_text("{"), "is damaged"),
        ("dataset_info.json", _no_records, "has no records"),
        ("features.json", pathlib.Path.unlink, "is damaged"),
        ("*-train.*", pathlib.Path.unlink, "does not exist"),
        ("*-train.*", _flip, "cannot be read"),
        ("*-validation.*", _blank_image, r"validation.*ILSVRC2012_val_0000000\d.JPEG"),
    ],
)
def test_damaged_dataset(build, output, name, fault, problem):
    folder = pathlib.Path(build().data_path)
    (path,) = folder.glob(name)
    fault(path)
    _fails(folder, output, problem)


def test_dataset_with_other_classes(output, tmp_path):
    class Digits(tfds.testing.DummyDataset):
        pass

    builder = Digits(data_dir=tmp_path / "data")
    builder.download_and_prepare()
    _fails(builder.data_path, output, "not a dataset of ImageNet's 1,000 classes")


def test_older_page_stays_until_a_new_one_replaces_it(build, output):
    folder = pathlib.Path(build().data_path)
    write_page(folder, output)
    old = output.read_text().replace("</html>", "<!-- old --></html>")
    output.write_text(old)
    (shard,) = folder.glob("*-validation.*")
    shard.rename(folder / "hidden")
    with pytest.raises(DatasetError):
        write_page(folder, output)
    assert output.read_text() == old
    (folder / "hidden").rename(shard)
    write_page(folder, output)
    assert "<!-- old -->" not in output.read_text()
    assert _left(output) == ["page.html"]


def test_output_that_cannot_be_written(build, output, tmp_path):
    folder = build().data_path
    with pytest.raises(WriteError, match=r"pages: is a directory\. Give another"):
        write_page(folder, output.parent)
    assert _left(output) == []
    with pytest.raises(WriteError, match=r"cannot be written \(No such file"):
        write_page(folder, tmp_path / "absent" / "page.html")
    assert not (tmp_path / "absent").exists()
    output.write_text("<html>My thesis</html>")
    with pytest.raises(WriteError, match=r"page.html: exists but is not a page"):
        write_page(folder, output)
    assert output.read_text() == "<html>My thesis</html>"
    assert _left(output) == ["page.html"]


def test_interruption_leaves_nothing(build, output, monkeypatch):
    def interrupted(*arguments):
        assert len(_left(output)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "survey_split", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_page(build().data_path, output)
    assert _left(output) == []


def test_missing_package(build, output, monkeypatch):
    folder = build().data_path
    remedy = re.escape("in a checkout pip install '.[page]'")
    for package in ("jinja2", "matplotlib"):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, package, None)
            _fails(folder, output, f"{package}: is not installed.*{remedy}")
    monkeypatch.setattr(features, "check", lambda feature: feature != "webp")
    _fails(folder, output, "pillow: was built without WebP")
