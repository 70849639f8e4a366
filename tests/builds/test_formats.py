"""A dataset in several file formats."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import sys

import pytest
import tensorflow_datasets as tfds

from imagenet2012_subset import WriteError
from imagenet2012_subset.tfds_internals import FileFormat
from tests.conftest import read_split
from tests.shared import archives
from tests.shared.final_place import Place, contents, names_in
from tests.shared.system_calls import at_call, each_call


def _files(folder: pathlib.Path, file_format: str) -> list[str]:
    return sorted(path.name for path in folder.glob(f"*.{file_format}*"))


def _without(files: dict[str, bytes], file_format: str) -> dict[str, bytes]:
    """Returns the files but the info and those of a format."""
    return {
        name: content
        for name, content in files.items()
        if file_format not in name and name != "dataset_info.json"
    }


def _examples(source) -> list[tuple[str, int]]:
    return [(example["file_name"], example["label"]) for example in source]


def _read(builder) -> list[tuple[str, int]]:
    label_of = builder.info.features["label"].str2int
    return [
        (name.encode(), label_of(wnid))
        for name, _, wnid in read_split(builder, "train")
    ]


def test_array_record_after_tfrecord(build, small_builder, final):
    build(num_shards=3)
    before = contents(final)
    second = build(file_format="array_record")
    # The same shards beside the old ones, and no other file changes but the info.
    assert len(_files(final, "array_record")) == 6
    assert _without(contents(final), "array_record") == _without(before, "none")
    assert names_in(final.parent) == ["5.0.0"]
    assert small_builder().info.file_format.value == "tfrecord"
    expected = _read(small_builder())
    assert _read(small_builder(file_format="tfrecord")) == expected
    in_format = small_builder(file_format="array_record")
    assert in_format.is_prepared()
    for builder in (second, small_builder(), in_format):
        assert _examples(builder.as_data_source(split="train")) == expected
    name, data_dir = "imagenet2012_subset/small", final.parents[2]
    source = tfds.data_source(name, split="train", data_dir=data_dir)
    assert _examples(source) == expected
    dataset = tfds.load(name, split="train", data_dir=data_dir)
    names = [example["file_name"] for example in dataset.as_numpy_iterator()]
    assert names == [name for name, _ in expected]


def test_tfrecord_and_parquet_after_array_record(build, small_builder, final):
    formats = ("array_record", "tfrecord", "parquet")
    for file_format in formats:
        build(file_format=file_format)
    assert small_builder().info.file_format.value == "array_record"
    expected = _examples(small_builder().as_data_source(split="train"))
    assert _read(small_builder(file_format="tfrecord")) == expected
    read = tfds.builder_from_directory(final)
    found = {one.value for one in read.info.available_file_formats()}
    assert found == {*formats}
    before = contents(final)
    for file_format in formats:
        build(file_format=file_format)
        build(
            file_format=file_format,
            download_mode=tfds.GenerateMode.UPDATE_DATASET_INFO,
        )
    assert contents(final) == before


def test_an_overwrite_keeps_the_format_and_drops_the_others(build, final):
    overwrite = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    build(file_format="array_record")
    build(file_format="tfrecord")
    build(download_mode=overwrite)
    assert _files(final, "array_record")
    assert not _files(final, "tfrecord")
    build(download_mode=overwrite, file_format="tfrecord")
    assert not _files(final, "array_record")
    assert _files(final, "tfrecord")


def test_the_archives_are_not_those_of_the_dataset(build, small_data, final):
    build()
    before = contents(final)
    images = next(iter(small_data.training.values()))
    images[0] = (images[0][0], archives.jpeg(4711, (50, 50)))
    small_data.write()
    with pytest.raises(
        WriteError, match="does not match what the current archives"
    ) as error:
        build(file_format="array_record")
    assert error.value.path == str(final)
    assert contents(final) == before
    assert names_in(final.parent) == ["5.0.0"]


def test_stopped_at_each_call_of_adding_a_format(build, tmp_path, tmp_path_factory):
    place = Place(build, tmp_path / "place", tmp_path_factory)

    def stop() -> None:
        raise KeyboardInterrupt

    def run(number: int) -> bool:
        place.new_place(2)
        folder = pathlib.Path(place.path)
        before = contents(folder)
        with at_call(number, stop) as reached, contextlib.suppress(KeyboardInterrupt):
            place.prepare(2, file_format=FileFormat.ARRAY_RECORD)
        after = contents(folder)
        if "array_record" in after["dataset_info.json"].decode():
            assert len(_files(folder, "array_record")) == 4
        else:
            assert after["dataset_info.json"] == before["dataset_info.json"]
        assert _without(after, "array_record") == _without(before, "none")
        place.prepare(2, file_format=FileFormat.ARRAY_RECORD)
        assert _files(folder, "array_record") == [
            name.replace("tfrecord", "array_record")
            for name in _files(folder, "tfrecord")
        ]
        read = tfds.builder_from_directory(folder)
        assert len(read.as_data_source(split="train")) == 6
        return reached()

    each_call(run, at_least=10)


@pytest.mark.parametrize(
    ("file_format", "module", "package"),
    [
        ("array_record", "array_record.python.array_record_module", "array_record"),
        ("parquet", "pyarrow.parquet", "pyarrow"),
        ("riegeli", "riegeli", "riegeli"),
    ],
)
def test_a_missing_package(
    build, small_data, final, monkeypatch, file_format, module, package
):
    monkeypatch.setitem(sys.modules, module, None)
    (small_data.manual_dir / "ILSVRC2012_img_val.tar").unlink()  # It is not read.
    with pytest.raises(WriteError, match=f"without the package {package}") as raised:
        build(file_format=file_format)
    assert f"pip install {package}" in raised.value.remedy
    assert not final.exists()


def test_an_invalid_format(small_builder):
    with pytest.raises(ValueError, match="not a valid FileFormat"):
        small_builder(file_format="zip")


def test_formats_that_are_added_at_once(build):
    build()
    formats = ("array_record", "parquet")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        futures = [pool.submit(build, file_format=one) for one in formats]
    read = tfds.builder_from_directory(futures[0].result().data_path)
    found = {one.value for one in read.info.available_file_formats()}
    assert found == {"tfrecord", *formats}
