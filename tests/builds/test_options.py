"""What TFDS offers for a build holds for this builder."""

import importlib.util
import json

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset.tfds_internals import ExampleWriter
from tests.conftest import read_split
from tests.shared import archives, tfds_builder
from tests.shared.prepared import change_json


def _names(builder, split):
    return [name for name, _, _ in read_split(builder, split)]


def test_array_record(build, small_data, tmp_path):
    ours = build(file_format="array_record")
    theirs = tfds_builder.build(
        "1pct",
        small_data.manual_dir,
        small_data.subset_list,
        tmp_path / "theirs",
        file_format="array_record",
    )
    for split in ("train", "validation"):
        sources = [one.as_data_source(split=split) for one in (ours, theirs)]
        examples = [[(e["file_name"], e["label"]) for e in one] for one in sources]
        assert examples[0] == examples[1]
        assert len(examples[0]) == ours.info.splits[split].num_examples


def test_parquet_keeps_more_than_a_hundred_records_a_shard(build, small_data):
    # TFDS's writer loses records there, so the oracle is the archive itself.
    images = [(archives.validation_name(n), archives.jpeg(n)) for n in range(1, 251)]
    small_data.validation = images
    small_data.write()
    ours = build(file_format="parquet")
    assert sorted(_names(ours, "validation")) == sorted(name for name, _ in images)


@pytest.mark.skipif(
    importlib.util.find_spec("riegeli") is None,
    reason="riegeli is not on the package index for this Python",
)
def test_riegeli(build, small_data):
    ours = build(file_format="riegeli")
    assert sorted(_names(ours, "train")) == sorted(small_data.listed)
    assert list(ours.data_path.glob("*_index.json"))


def test_positions_that_a_writer_returns_become_index_files(build, monkeypatch):
    class PositionedWriter(ExampleWriter):
        def write(self, path, examples):
            examples = list(examples)
            super().write(path, examples)
            return [10 * i for i, _ in enumerate(examples)]

    monkeypatch.setattr(
        imagenet2012_subset.Builder,
        "_example_writer",
        lambda self: PositionedWriter(file_format=self.info.file_format),
    )
    ours = build(num_shards=2)
    index_files = sorted(ours.data_path.glob("*train*_index.json"))
    positions = [json.loads(path.read_text())["index"] for path in index_files]
    assert [len(one) for one in positions] == ours.info.splits["train"].shard_lengths


def test_manual_dir_is_by_default_that_of_tfds(small_builder, small_data, tmp_path):
    (tmp_path / "data" / "downloads").mkdir(parents=True)
    small_data.manual_dir.rename(tmp_path / "data" / "downloads" / "manual")
    builder = small_builder()
    builder.download_and_prepare()
    assert sorted(_names(builder, "train")) == sorted(small_data.listed)


def test_max_shard_size(build, final):
    build(max_shard_size=4_000)
    sizes = [path.stat().st_size for path in final.glob("*.tfrecord-*")]
    assert len(sizes) > 2
    assert max(sizes) <= 4_000


def test_max_examples_per_split_keeps_the_first_in_the_archive(build, small_data):
    ours = build(max_examples_per_split=2)
    in_archive = [n for images in small_data.training.values() for n, _ in images]
    first = [name for name in in_archive if name in small_data.listed][:2]
    assert sorted(_names(ours, "train")) == sorted(first)
    assert ours.info.splits["validation"].num_examples == 2


def test_nondeterministic_order_keeps_the_order_of_the_archive(build, small_data):
    if not hasattr(tfds.download.DownloadConfig(), "nondeterministic_order"):
        pytest.skip("this TFDS has no such option")
    ours = build(nondeterministic_order=True)
    assert _names(ours, "validation") == [name for name, _ in small_data.validation]


@pytest.mark.parametrize(
    "mode",
    [
        tfds.GenerateMode.REUSE_DATASET_IF_EXISTS,
        tfds.GenerateMode.UPDATE_DATASET_INFO,
    ],
)
def test_modes_that_keep_an_existing_dataset(build, small_data, final, mode):
    build()
    written = {path: path.stat().st_mtime_ns for path in final.glob("*.tfrecord*")}
    if mode == tfds.GenerateMode.REUSE_DATASET_IF_EXISTS:
        (small_data.manual_dir / "ILSVRC2012_img_train.tar").unlink()
    build(download_mode=mode)
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_the_description_of_an_existing_dataset_is_updated(build, final):
    info_file = final / "dataset_info.json"
    description = build().info.description
    change_json(info_file, description="An old description.")
    build(download_mode=tfds.GenerateMode.UPDATE_DATASET_INFO)
    assert json.loads(info_file.read_text())["description"] == description
