"""A dataset in several file formats."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import sys

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetConfig, WriteError
from imagenet2012_subset.tfds_internals import FileFormat
from tests.conftest import read_split
from tests.shared import archives
from tests.shared.final_place import Place, contents, names_in
from tests.shared.system_calls import Reached, at_call, each_call


def _files(folder: pathlib.Path, file_format: str) -> list[str]:
    return sorted(path.name for path in folder.glob(f"*.{file_format}*"))


def _examples(source) -> list[tuple[str, int]]:
    return [(example["file_name"], example["label"]) for example in source]


def _read(builder, split="train"):
    wnid_of = builder.info.features["label"].str2int
    return [
        (name.encode(), wnid_of(wnid)) for name, _, wnid in read_split(builder, split)
    ]


@pytest.fixture
def small(small_data, tmp_path):
    """Makes a builder of the small data, in a format if one is given."""

    def builder(**keywords) -> imagenet2012_subset.Builder:
        return imagenet2012_subset.Builder(
            config=SubsetConfig(
                name="small", subset_list=small_data.subset_list, validation_images=5
            ),
            data_dir=tmp_path / "data",
            **keywords,
        )

    return builder


def test_array_record_after_tfrecord(build, small):
    first = build(num_shards=3)
    folder = pathlib.Path(first.data_path)
    before = contents(folder)
    second = build(file_format="array_record")
    after = contents(folder)
    # The same shards beside the old ones, and nothing else changes but what tells.
    assert len(_files(folder, "array_record")) == 6
    new = set(_files(folder, "array_record")) | {"dataset_info.json"}
    assert {n: c for n, c in after.items() if n not in new} == {
        n: c for n, c in before.items() if n not in new
    }
    assert names_in(folder.parent) == ["5.0.0"]
    expected = _read(small())
    assert _examples(second.as_data_source(split="train")) == expected
    assert _examples(small().as_data_source(split="train")) == expected
    in_format = small(file_format="array_record")
    assert in_format.is_prepared()
    assert _examples(in_format.as_data_source(split="train")) == expected
    assert _read(small(file_format="tfrecord")) == expected
    assert small().info.file_format.value == "tfrecord"


def test_by_name_through_tfds(build, tmp_path, small):
    build()
    build(file_format="array_record")
    name, data_dir = "imagenet2012_subset/small", tmp_path / "data"
    expected = _read(small())
    source = tfds.data_source(name, split="train", data_dir=data_dir)
    assert _examples(source) == expected
    dataset = tfds.load(name, split="train", data_dir=data_dir)
    names = [example["file_name"] for example in dataset.as_numpy_iterator()]
    assert names == [name for name, _ in expected]


def test_tfrecord_and_parquet_after_array_record(build, small):
    build(file_format="array_record")
    build(file_format="tfrecord")
    both = build(file_format="parquet")
    folder = pathlib.Path(both.data_path)
    assert small().info.file_format.value == "array_record"
    expected = _examples(small().as_data_source(split="train"))
    assert _read(small(file_format="tfrecord")) == expected
    read = tfds.builder_from_directory(folder)
    assert {f.value for f in read.info.available_file_formats()} == {
        "array_record",
        "parquet",
        "tfrecord",
    }
    before = contents(folder)
    for file_format in ("array_record", "parquet", "tfrecord"):
        build(file_format=file_format)
    assert contents(folder) == before


def test_through_data_source_of_tfds(build, small, small_data, tmp_path):
    build()
    source = tfds.data_source(
        "imagenet2012_subset",
        split="train",
        builder_kwargs={
            "config": small().builder_config,
            "file_format": "array_record",
        },
        data_dir=tmp_path / "data",
        download_and_prepare_kwargs={
            "download_config": tfds.download.DownloadConfig(
                manual_dir=small_data.manual_dir
            )
        },
    )
    assert _examples(source) == _read(small())


def test_an_overwrite_keeps_the_format_and_drops_the_others(build):
    overwrite = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    build(file_format="array_record")
    folder = pathlib.Path(build(file_format="tfrecord").data_path)
    build(download_mode=overwrite)
    assert _files(folder, "array_record")
    assert not _files(folder, "tfrecord")
    build(download_mode=overwrite, file_format="tfrecord")
    assert not _files(folder, "array_record")
    assert _files(folder, "tfrecord")


def test_an_update_of_the_infos_keeps_all_formats(build, small):
    build()
    folder = pathlib.Path(build(file_format="array_record").data_path)
    info = (folder / "dataset_info.json").read_text()
    for file_format in ("array_record", "tfrecord"):
        build(
            file_format=file_format,
            download_mode=tfds.GenerateMode.UPDATE_DATASET_INFO,
        )
        assert (folder / "dataset_info.json").read_text() == info


def test_other_archives_than_those_of_the_dataset(build, small_data):
    folder = pathlib.Path(build().data_path)
    before = contents(folder)
    images = next(iter(small_data.training.values()))
    images[0] = (images[0][0], archives.jpeg(4711, (50, 50)))
    small_data.write()
    with pytest.raises(
        WriteError, match="does not match what the current archives"
    ) as error:
        build(file_format="array_record")
    assert error.value.path == str(folder)
    assert contents(folder) == before
    assert names_in(folder.parent) == ["5.0.0"]


def test_stopped_at_each_call_of_adding_a_format(build, tmp_path, tmp_path_factory):
    place = Place.of(build, tmp_path / "place", tmp_path_factory)

    def stop() -> None:
        raise KeyboardInterrupt

    def run(number: int) -> Reached:
        place.new_place(2)
        folder = pathlib.Path(place.path)
        before = contents(folder)
        with at_call(number, stop) as reached, contextlib.suppress(KeyboardInterrupt):
            place.prepare(2, file_format=FileFormat.ARRAY_RECORD)
        after = contents(folder)
        if "array_record" in after["dataset_info.json"].decode():
            assert len(_files(folder, "array_record")) == 4
            del after["dataset_info.json"]
        assert {n: c for n, c in before.items() if n in after} == {
            n: c for n, c in after.items() if "array_record" not in n
        }
        place.prepare(2, file_format=FileFormat.ARRAY_RECORD)
        assert _files(folder, "array_record") == [
            name.replace("tfrecord", "array_record")
            for name in _files(folder, "tfrecord")
        ]
        read = tfds.builder_from_directory(folder)
        assert len(read.as_data_source(split="train")) == 6
        return reached

    each_call(run, at_least=10)


@pytest.mark.parametrize(
    ("file_format", "module", "package"),
    [
        ("array_record", "array_record.python.array_record_module", "array_record"),
        ("parquet", "pyarrow.parquet", "pyarrow"),
        ("riegeli", "riegeli", "riegeli"),
    ],
)
def test_a_format_whose_package_is_missing(
    build, small_data, tmp_path, monkeypatch, file_format, module, package
):
    monkeypatch.setitem(sys.modules, module, None)
    (small_data.manual_dir / "ILSVRC2012_img_val.tar").unlink()  # Not looked at.
    with pytest.raises(WriteError, match=f"without the package {package}") as raised:
        build(file_format=file_format)
    assert f"pip install {package}" in raised.value.remedy
    assert not list((tmp_path / "data").rglob("5.0.0"))


def test_no_such_format(small):
    with pytest.raises(ValueError, match="not a valid FileFormat"):
        small(file_format="zip")


@pytest.mark.usefixtures("without_locks")
def test_the_loser_of_a_race_in_another_format(build, monkeypatch):
    generate = imagenet2012_subset.Builder._generate_splits
    others = []

    def lose(self, *args):
        splits = generate(self, *args)
        if not others:
            others.append(None)
            others.append(build())
        return splits

    monkeypatch.setattr(imagenet2012_subset.Builder, "_generate_splits", lose)
    loser = build(file_format="array_record")
    assert _examples(loser.as_data_source(split="train")) == _read(others[1])
    assert os.listdir(loser.data_path.parent) == ["5.0.0"]


def test_formats_that_are_added_at_once(build):
    build()
    formats = ("array_record", "parquet")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        futures = [pool.submit(build, file_format=one) for one in formats]
    read = tfds.builder_from_directory(futures[0].result().data_path)
    found = {one.value for one in read.info.available_file_formats()}
    assert found == {"tfrecord", *formats}
