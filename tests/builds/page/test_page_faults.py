"""A page is written whole or not at all, and an error says why."""

from __future__ import annotations

import json
import pathlib
import re
import sys

import pytest
import tensorflow as tf
from PIL import features

from imagenet2012_subset import DatasetError, WriteError
from imagenet2012_subset.page import write
from imagenet2012_subset.page.write import write_page


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    """A place for the page, in a folder of its own."""
    (tmp_path / "pages").mkdir()
    return tmp_path / "pages" / "page.html"


def _left(output: pathlib.Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


def _fails(dataset: pathlib.Path, output: pathlib.Path, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        write_page(dataset, output)
    assert caught.value.remedy
    assert _left(output) == []


def test_no_such_folder(tmp_path, output):
    _fails(tmp_path / "absent", output, "absent: does not exist. Give the folder")


def test_a_folder_above_the_dataset(build, output):
    folder = build().data_path.parent
    _fails(pathlib.Path(folder), output, "small: has no dataset_info.json. Give")


def test_dataset_info_is_no_json(build, output):
    folder = pathlib.Path(build().data_path)
    (folder / "dataset_info.json").write_text("{")
    _fails(folder, output, "cannot be opened .* Build the dataset again")


def test_features_are_missing(build, output):
    folder = pathlib.Path(build().data_path)
    (folder / "features.json").unlink()
    _fails(folder, output, "cannot be opened .* Build the dataset again")


def test_the_classes_are_others(build, output):
    folder = pathlib.Path(build().data_path)
    labels = folder / "label.labels.txt"
    labels.write_text(labels.read_text().replace("n01440764", "n00001740"))
    _fails(folder, output, "no dataset of ImageNet's 1,000 classes")


def test_it_has_no_splits(build, output):
    folder = pathlib.Path(build().data_path)
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"splits": []}))
    _fails(folder, output, "has no records. Build the dataset again")


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize("damage", ["gone", "cut off", "flipped", "empty"])
def test_a_shard_is_damaged(build, output, file_format, damage):
    folder = pathlib.Path(build(file_format=file_format).data_path)
    (shard,) = folder.glob("*-train.*")
    data = shard.read_bytes()
    if damage == "gone":
        shard.unlink()
    else:
        middle = len(data) // 2
        shard.write_bytes(
            {
                "cut off": data[:middle],
                "flipped": data[:middle] + bytes(64) + data[middle + 64 :],
                "empty": b"",
            }[damage]
        )
    _fails(folder, output, "'train'.* Build the dataset again")


def test_a_shard_lacks_records(build, output):
    folder = pathlib.Path(build().data_path)
    path = folder / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"] = ["7"]
    path.write_text(json.dumps(info))
    _fails(folder, output, "in the split 'train' cannot be read .*7 elements but cont")


def test_an_image_is_none(build, small_data, output):
    # The builder refuses it, but whoever wrote the dataset may not have.
    folder = pathlib.Path(build().data_path)
    (shard,) = folder.glob("*-validation.tfrecord*")
    name = small_data.validation[0][0]
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(shard))]
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for record in records:
            example = tf.train.Example.FromString(record)
            values = example.features.feature
            if values["file_name"].bytes_list.value[0].decode() == name:
                values["image"].bytes_list.value[0] = b"no image"
            writer.write(example.SerializeToString())
    _fails(folder, output, f"{name} in the split 'validation' cannot be shown")


def test_an_older_page_is_replaced(build, output):
    folder = build().data_path
    write_page(folder, output)
    output.write_text(output.read_text().replace("</html>", "<!-- old --></html>"))
    write_page(folder, output)
    assert "<!-- old -->" not in output.read_text()
    assert _left(output) == ["page.html"]


def test_an_older_page_stays_where_a_new_one_fails(build, output):
    folder = pathlib.Path(build().data_path)
    write_page(folder, output)
    old = output.read_bytes()
    for shard in folder.glob("*-validation.*"):
        shard.unlink()
    with pytest.raises(DatasetError):
        write_page(folder, output)
    assert output.read_bytes() == old
    assert _left(output) == ["page.html"]


def test_no_other_file_is_replaced(build, output):
    output.write_text("<html>My thesis</html>")
    with pytest.raises(WriteError, match=r"page.html: is there, and is no page"):
        write_page(build().data_path, output)
    assert output.read_text() == "<html>My thesis</html>"
    assert _left(output) == ["page.html"]


def test_the_output_is_a_folder(build, output):
    with pytest.raises(WriteError, match=r"pages: is a folder\. Give another"):
        write_page(build().data_path, output.parent)
    assert _left(output) == []


def test_the_output_s_folder_is_missing(build, tmp_path):
    with pytest.raises(WriteError, match=r"cannot be written \(No such file"):
        write_page(build().data_path, tmp_path / "absent" / "page.html")
    assert not (tmp_path / "absent").exists()


def test_nothing_is_left_by_who_interrupts(build, output, monkeypatch):
    def interrupted(*arguments):
        assert len(_left(output)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "survey_split", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_page(build().data_path, output)
    assert _left(output) == []


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_package_is_missing(build, output, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    remedy = re.escape("pip install 'imagenet2012-subset[page]'")
    _fails(build().data_path, output, f"{package}: is not installed.*{remedy}")


def test_pillow_cannot_write_thumbnails(build, output, monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: feature != "webp")
    _fails(build().data_path, output, "pillow: was built without WebP")
