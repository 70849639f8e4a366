"""What opening a prepared dataset reports, and which shards are missing or cut."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil

import pytest
from etils import epath

from imagenet2012_subset import WriteError
from imagenet2012_subset.prepared.dataset import open_dataset
from imagenet2012_subset.tfds_internals import FileFormat
from tests.shared import tfds_builder

_FORMATS = ("tfrecord", "array_record", "parquet")


@pytest.fixture(scope="module")
def datasets() -> dict[str, pathlib.Path]:
    """One dataset in each format, filled by `dataset_in`."""
    return {}


@pytest.fixture
def dataset_in(datasets, build, tmp_path, tmp_path_factory):
    """Returns a copy of the small dataset in a format."""

    def copy(file_format: str = "tfrecord") -> epath.Path:
        if file_format not in datasets:
            data_dir = tmp_path_factory.mktemp("data")
            built = build(data_dir=data_dir, file_format=file_format, num_shards=2)
            datasets[file_format] = pathlib.Path(built.data_path)
        folder = tmp_path / file_format / "5.0.0"
        shutil.copytree(datasets[file_format], folder)
        return epath.Path(folder)

    return copy


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
    assert dataset.missing_or_cut_shards() == []
    dataset.ensure_complete()


def test_a_dataset_that_tfds_built_is_complete(small_data, tmp_path):
    built = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    assert open_dataset(built.data_path).missing_or_cut_shards() == []


@pytest.mark.parametrize("file_format", _FORMATS)
def test_a_missing_shard(dataset_in, file_format):
    dataset = open_dataset(dataset_in(file_format))
    path = dataset.shard_paths("validation")[1]
    path.unlink()
    (problem,) = dataset.missing_or_cut_shards()
    assert problem == ("validation", 1, path, "does not exist")
    dataset.shard_paths("train")[0].unlink()
    with pytest.raises(WriteError, match="does not exist") as raised:
        dataset.ensure_complete()
    assert raised.value.path == str(dataset.shard_paths("train")[0])
    assert "1 other shard" in raised.value.problem
    assert "overwrite it" in raised.value.remedy


@pytest.mark.parametrize("keep", [0, 1, 8, 15, 16, 0.5, -1])
@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_a_shard_that_is_cut_off(dataset_in, file_format, keep):
    dataset = open_dataset(dataset_in(file_format))
    path = dataset.shard_paths("train")[1]
    length = os.path.getsize(path)
    kept = int(length * keep) if isinstance(keep, float) else keep % length
    os.truncate(
        path, kept - 1 if file_format == "array_record" and keep == 0.5 else kept
    )
    (problem,) = dataset.missing_or_cut_shards()
    assert (problem.split, problem.number, problem.path) == ("train", 1, path)
    assert "is cut off" in problem.problem if kept else problem.problem == "is empty"


def test_a_tfrecord_that_is_cut_between_two_records(dataset_in):
    dataset = open_dataset(dataset_in())
    path = dataset.shard_paths("validation")[0]
    first = int.from_bytes(path.read_bytes()[:8], "little")
    os.truncate(path, 16 + first)
    (problem,) = dataset.missing_or_cut_shards()
    assert problem.path == path
    assert problem.problem.endswith("after 1 of 2 records")


def test_a_tfrecord_with_bytes_behind_its_records(dataset_in):
    dataset = open_dataset(dataset_in())
    path = dataset.shard_paths("train")[0]
    path.write_bytes(path.read_bytes() + b"x")
    (problem,) = dataset.missing_or_cut_shards()
    assert (problem.path, problem.problem) == (path, "is longer than its 3 records")


def test_tfrecords_of_another_dataset(dataset_in):
    """Each one is whole, but they are not those that the dataset describes."""
    folder = dataset_in()
    info = json.loads((folder / "dataset_info.json").read_text())
    for split in info["splits"]:
        split["numBytes"] = str(int(split["numBytes"]) + 1)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    problems = open_dataset(folder).missing_or_cut_shards()
    assert [problem.split for problem in problems] == ["train", "validation"]
    assert "bytes together" in problems[0].problem


def test_only_the_requested_format_is_looked_at(dataset_in):
    folder = dataset_in("array_record")
    info = json.loads((folder / "dataset_info.json").read_text())
    info["alternativeFileFormats"] = ["tfrecord"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    dataset = open_dataset(folder)
    assert dataset.formats == (FileFormat.ARRAY_RECORD, FileFormat.TFRECORD)
    assert len(dataset.missing_or_cut_shards()) == 4
    assert dataset.missing_or_cut_shards(FileFormat.ARRAY_RECORD) == []


def test_a_shard_of_a_user_without_a_name(dataset_in, monkeypatch):
    """As in a container, whose `/etc/passwd` does not know the owner of a volume."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert open_dataset(dataset_in()).missing_or_cut_shards() == []


def test_a_shard_that_cannot_be_looked_up(dataset_in, monkeypatch):
    dataset = open_dataset(dataset_in())
    stat = os.stat

    def denied(path, *args, **kwargs):
        if str(path).endswith("00001-of-00002"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", denied)
    with pytest.raises(
        WriteError, match=r"cannot be read \(Permission denied\)"
    ) as one:
        dataset.missing_or_cut_shards()
    assert "elete" not in one.value.remedy


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b'{"splits": 1}'])
def test_a_damaged_info(dataset_in, damage):
    path = dataset_in() / "dataset_info.json"
    path.write_bytes(damage)
    with pytest.raises(WriteError, match="cannot be read, it is damaged") as raised:
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


def test_another_version_than_that_of_the_directory(dataset_in):
    folder = dataset_in()
    other = folder.rename(folder.parent / "5.0.1")
    with pytest.raises(
        WriteError, match=r"version 5\.0\.0 in the directory of 5\.0\.1"
    ):
        open_dataset(other)


def test_other_labels(dataset_in):
    path = dataset_in() / "label.labels.txt"
    path.write_text("cat\ndog\n")
    with pytest.raises(WriteError, match="2 lines that are not the 1,000 wnids") as one:
        open_dataset(path.parent)
    assert one.value.path == str(path)


def test_metadata(dataset_in):
    folder = dataset_in()
    (folder / "metadata.json").write_text("[1]")
    assert open_dataset(folder).metadata == {}
    (folder / "metadata.json").unlink()
    assert open_dataset(folder).metadata == {}
    (folder / "metadata.json").write_text('{"a": ')
    with pytest.raises(WriteError, match="it is damaged"):
        open_dataset(folder)


def test_a_directory_that_is_not_a_dataset(tmp_path):
    with pytest.raises(WriteError, match=r"it has no dataset_info\.json"):
        open_dataset(epath.Path(tmp_path))
    with pytest.raises(WriteError, match="does not exist"):
        open_dataset(epath.Path(tmp_path / "missing"))
