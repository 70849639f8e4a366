"""What a prepared dataset contains, and which of its files are missing or damaged."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import pytest
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.prepared.dataset import (
    PreparedDataset,
    length_and_time,
    open_dataset,
)
from imagenet2012_subset.prepared.records import UnreadableShard, read_shard
from imagenet2012_subset.tfds_internals import FileFormat
from tests.shared import forms

_FORMATS = ("tfrecord", "array_record", "parquet")
_built: dict[str, pathlib.Path] = {}  # One dataset in each format, for all tests.


@pytest.fixture
def dataset_in(build, tmp_path, tmp_path_factory):
    """Returns a copy of the small dataset in a format."""

    def copy(file_format: str = "tfrecord") -> epath.Path:
        if file_format not in _built:
            data_dir = tmp_path_factory.mktemp("data")
            builder = build(data_dir=data_dir, file_format=file_format, num_shards=2)
            _built[file_format] = pathlib.Path(builder.data_path)
        folder = tmp_path / file_format / "5.0.0"
        shutil.copytree(_built[file_format], folder)
        return epath.Path(folder)

    return copy


def _incomplete(dataset: PreparedDataset) -> WriteError:
    with pytest.raises(WriteError) as raised:
        dataset.ensure_complete()
    assert "overwrite it" in raised.value.remedy
    return raised.value


@pytest.mark.parametrize("file_format", _FORMATS)
def test_a_complete_dataset(dataset_in, file_format):
    dataset = open_dataset(dataset_in(file_format))
    assert dataset.formats == (FileFormat(file_format),)
    assert {name: split.num_examples for name, split in dataset.splits.items()} == {
        "train": 6,
        "validation": 5,
    }
    assert dataset.metadata["training_names"] == 6
    assert all(path.exists() for path in dataset.shard_paths("train"))
    dataset.ensure_complete()


@pytest.mark.parametrize("file_format", _FORMATS)
def test_a_missing_shard(dataset_in, file_format):
    dataset = open_dataset(dataset_in(file_format))
    path = dataset.shard_paths("validation")[1]
    path.unlink()
    error = _incomplete(dataset)
    assert (error.path, error.problem) == (str(path), "does not exist")
    dataset.shard_paths("train")[0].unlink()
    error = _incomplete(dataset)
    assert error.path == str(dataset.shard_paths("train")[0])
    assert error.problem == "does not exist (1 other shard too)"


@pytest.mark.parametrize(
    ("file_format", "kept", "problem"),
    [
        ("array_record", 0, "is empty"),
        ("array_record", 1, "is cut off"),
        ("array_record", 65_535, "is cut off"),
        ("tfrecord", 0, "is empty"),
    ],
)
def test_a_shard_that_is_cut_off(dataset_in, file_format, kept, problem):
    dataset = open_dataset(dataset_in(file_format))
    path = dataset.shard_paths("train")[1]
    os.truncate(path, kept)
    error = _incomplete(dataset)
    assert error.path == str(path)
    assert problem in error.problem


@pytest.mark.parametrize("lost", [1, 100])
def test_a_tfrecord_shard_that_is_cut_off(dataset_in, lost):
    """Only the number of bytes of the whole split is known."""
    dataset = open_dataset(dataset_in())
    paths = dataset.shard_paths("train")
    num_bytes = sum(os.path.getsize(path) for path in paths)
    os.truncate(paths[1], os.path.getsize(paths[1]) - lost)
    error = _incomplete(dataset)
    assert error.path == str(dataset.folder)
    assert error.problem.startswith(
        f"has {num_bytes - lost:,} bytes in its train shards, but should have "
        f"{num_bytes:,} (python"
    )


def test_only_the_requested_format_is_looked_at(dataset_in):
    folder = dataset_in("array_record")
    info = json.loads((folder / "dataset_info.json").read_text())
    info["alternativeFileFormats"] = ["tfrecord"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    dataset = open_dataset(folder)
    assert dataset.formats == (FileFormat.ARRAY_RECORD, FileFormat.TFRECORD)
    assert "3 other shards too" in _incomplete(dataset).problem
    dataset.ensure_complete(FileFormat.ARRAY_RECORD)


def test_a_shard_of_a_user_without_a_name(dataset_in, monkeypatch):
    """As in a container, whose `/etc/passwd` does not know the owner of a volume."""
    unknown = mock.Mock(side_effect=KeyError("getpwuid(): uid not found"))
    monkeypatch.setattr("pwd.getpwuid", unknown)
    dataset = open_dataset(dataset_in())
    dataset.ensure_complete()
    for path in dataset.shard_paths("train"):
        expected = (os.path.getsize(path), os.path.getmtime(path))
        assert length_and_time(path) == expected


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b'{"splits": 1}'])
def test_a_damaged_info(dataset_in, damage):
    path = dataset_in() / "dataset_info.json"
    path.write_bytes(damage)
    with pytest.raises(WriteError, match="is damaged and cannot be read") as raised:
        open_dataset(path.parent)
    assert raised.value.path == str(path)
    assert f"move {path.parent} away" in raised.value.remedy


@pytest.mark.parametrize(
    "change", [{"fieldOfTheFuture": 1}, {"fileFormat": "format_of_the_future"}]
)
def test_an_info_of_a_newer_tfds(dataset_in, change):
    path = dataset_in() / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WriteError, match="newer version of TFDS") as raised:
        open_dataset(path.parent)
    assert "Upgrade TFDS" in raised.value.remedy
    assert "elete" not in raised.value.remedy


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("name", ["dataset_info.json", "metadata.json"])
def test_a_file_that_cannot_be_read(dataset_in, monkeypatch, name, code):
    folder = dataset_in()
    read_text = type(folder).read_text

    def fail(path, *args, **kwargs):
        if path.name == name:
            raise OSError(code, os.strerror(code))
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(type(folder), "read_text", fail)
    with pytest.raises(WriteError) as raised:
        open_dataset(folder)
    assert raised.value.path == str(folder / name)
    assert raised.value.problem == f"cannot be read ({os.strerror(code)})"
    assert "may be sound" in raised.value.remedy


def test_a_directory_that_is_not_the_dataset(dataset_in):
    folder = dataset_in()
    other = folder.rename(folder.parent / "5.0.1")
    with pytest.raises(WriteError, match=r"version 5\.0\.0 in the directory of 5\.0\."):
        open_dataset(other)
    with pytest.raises(WriteError, match="does not exist"):
        open_dataset(folder)
    folder.mkdir()
    with pytest.raises(WriteError, match=r"it has no dataset_info\.json"):
        open_dataset(folder)


def test_other_labels(dataset_in):
    path = dataset_in() / "label.labels.txt"
    path.write_text("cat\ndog\n")
    problem = f"{path}: .*2 lines that are not the 1,000 wnids"
    with pytest.raises(WriteError, match=problem):
        open_dataset(path.parent)


def test_a_dataset_may_have_no_metadata(dataset_in):
    folder = dataset_in()
    (folder / "metadata.json").write_text("[1]")
    assert open_dataset(folder).metadata == {}
    (folder / "metadata.json").unlink()
    assert open_dataset(folder).metadata == {}
    (folder / "metadata.json").write_text('{"a": ')
    with pytest.raises(WriteError, match="is damaged"):
        open_dataset(folder)


def test_a_shard_that_cannot_be_looked_up(dataset_in, monkeypatch):
    dataset = open_dataset(dataset_in())
    stat = os.stat

    def denied(path, *args, **kwargs):
        if str(path).endswith("00001-of-00002"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", denied)
    with pytest.raises(WriteError, match="Permission denied") as one:
        dataset.ensure_complete()
    assert one.value.problem == "cannot be read (Permission denied)"
    assert "elete" not in one.value.remedy


@pytest.mark.parametrize("file_format", _FORMATS)
def test_all_records_in_order(dataset_in, small_data, file_format):
    dataset = open_dataset(dataset_in(file_format))
    shards = [list(read_shard(dataset, "train", number)) for number in (0, 1)]
    assert [len(shard) for shard in shards] == [3, 3]
    images = dict(forms.images(small_data))
    for name, image, label in shards[0] + shards[1]:
        assert images[name] == image
        assert names.wnids()[label] == names.wnid(name)
    found = sorted(name for name, _, _ in shards[0] + shards[1])
    assert found == sorted(small_data.listed)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_records_of_a_damaged_shard(dataset_in, file_format):
    dataset = open_dataset(dataset_in(file_format))
    path = dataset.shard_paths("validation")[0]
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(UnreadableShard, match=f"{path}: cannot be read"):
        list(read_shard(dataset, "validation", 0))


def test_array_record_is_read_without_tensorflow(dataset_in):
    script = (
        "import sys\n"
        "from etils import epath\n"
        "from imagenet2012_subset.prepared.dataset import open_dataset\n"
        "from imagenet2012_subset.prepared.records import read_shard\n"
        "dataset = open_dataset(epath.Path(sys.argv[1]))\n"
        "assert len(list(read_shard(dataset, 'train', 0))) == 3\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    folder = str(dataset_in("array_record"))
    subprocess.run([sys.executable, "-c", script, folder], check=True)
