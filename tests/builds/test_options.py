"""What TFDS offers for a build holds for this builder."""

import http.server
import importlib.util
import json
import pathlib
import re
import threading

import numpy as np
import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetConfig, WriteError
from imagenet2012_subset.tfds_internals import ExampleWriter
from tests.conftest import read_split
from tests.shared import archives, tfds_builder


def _names(builder, split):
    return [name for name, _, _ in read_split(builder, split)]


def _examples(builder, split):
    source = builder.as_data_source(split=split)
    return [(example["file_name"], example["label"]) for example in source]


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
        assert _examples(ours, split) == _examples(theirs, split)
    assert len(_examples(ours, "train")) == len(small_data.listed)


def test_parquet_keeps_more_than_a_hundred_records_a_shard(build, tmp_path):
    # TFDS's writer loses records there, so the oracle is the archive itself.
    images = [(archives.validation_name(n), archives.jpeg(n)) for n in range(1, 251)]
    manual_dir = tmp_path / "manual"
    validation = manual_dir / "ILSVRC2012_img_val.tar"
    validation.write_bytes(archives.tar_bytes(images))
    ours = build(validation_images=250, file_format="parquet")
    assert sorted(_names(ours, "validation")) == sorted(name for name, _ in images)


@pytest.mark.skipif(
    importlib.util.find_spec("riegeli") is None,
    reason="riegeli is not on the package index for this Python",
)
def test_riegeli(build, small_data):
    ours = build(file_format="riegeli")
    assert sorted(_names(ours, "train")) == sorted(small_data.listed)
    assert list(ours.data_path.glob("*_index.json"))


def test_positions_that_a_writer_gives_become_index_files(
    build, small_data, monkeypatch
):
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


def test_without_options_archives_are_sought_where_tfds_seeks_them(
    small_data, tmp_path
):
    (tmp_path / "data" / "downloads").mkdir(parents=True)
    small_data.manual_dir.rename(tmp_path / "data" / "downloads" / "manual")
    config = SubsetConfig(
        name="small", subset_list=small_data.subset_list, validation_images=5
    )
    builder = imagenet2012_subset.Builder(config=config, data_dir=tmp_path / "data")
    builder.download_and_prepare()
    assert sorted(_names(builder, "train")) == sorted(small_data.listed)


def test_shards_stay_within_the_maximum_size(build):
    ours = build(max_shard_size=4_000)
    shards = pathlib.Path(ours.data_dir).glob("*.tfrecord-*")
    sizes = [path.stat().st_size for path in shards]
    assert len(sizes) > 2
    assert max(sizes) <= 4_000


def test_max_examples_per_split_keeps_the_first_of_the_archive(build, small_data):
    ours = build(max_examples_per_split=2)
    in_archive = [n for images in small_data.training.values() for n, _ in images]
    first = [name for name in in_archive if name in small_data.listed][:2]
    assert sorted(_names(ours, "train")) == sorted(first)
    assert ours.info.splits["validation"].num_examples == 2


def test_no_examples_at_all(build):
    assert not build(max_examples_per_split=0).info.splits


def test_nondeterministic_order_leaves_the_order_of_the_archive(build, small_data):
    if not hasattr(tfds.download.DownloadConfig(), "nondeterministic_order"):
        pytest.skip("this TFDS has no such option")
    ours = build(nondeterministic_order=True)
    assert _names(ours, "validation") == [name for name, _ in small_data.validation]


def test_an_existing_dataset_is_reused(build, small_data):
    first = build()
    info = pathlib.Path(first.data_dir) / "dataset_info.json"
    written = info.stat().st_mtime_ns
    (small_data.manual_dir / "ILSVRC2012_img_train.tar").unlink()
    assert build().data_path == first.data_path
    assert info.stat().st_mtime_ns == written


def test_reuse_cache_if_exists_builds_again(build, small_data):
    build()
    wnid, images = next(iter(small_data.training.items()))
    name = images[0][0]
    images[0] = (name, archives.jpeg(4711))
    small_data.write()
    again = build(download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)
    assert (name, archives.jpeg(4711), wnid) in read_split(again, "train")


def test_update_dataset_info_leaves_the_shards(build):
    shards = pathlib.Path(build().data_dir).glob("*.tfrecord*")
    written = {path: path.stat().st_mtime_ns for path in shards}
    build(download_mode=tfds.GenerateMode.UPDATE_DATASET_INFO)
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_list_from_the_web(build, small_data):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(small_data.subset_list.read_bytes())

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ours = build(subset_list=f"http://127.0.0.1:{server.server_port}/list.txt")
        server.shutdown()
    assert sorted(_names(ours, "train")) == sorted(small_data.listed)
    assert ours.info.download_size == small_data.subset_list.stat().st_size


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda examples: [
                (key, {**example, "file_name": "other.JPEG"})
                for key, example in examples
            ],
            r"gave \w+\.JPEG in a record of",
        ),
        (lambda examples: list(examples)[:-1], "gave no more"),
        (lambda examples: [*examples] * 2, "was planned to hold no more"),
    ],
    ids=["changed", "fewer", "more"],
)
def test_a_subclass_with_other_examples_is_told_so(small_data, tmp_path, change, told):
    class Changing(imagenet2012_subset.Builder, skip_registration=True):
        name = "changing"
        BUILDER_CONFIGS = []

        def _generate_examples(self, images):
            yield from change(super()._generate_examples(images))

    builder = Changing(
        config=SubsetConfig(
            name="small", subset_list=small_data.subset_list, validation_images=5
        ),
        data_dir=tmp_path / "data",
    )
    config = tfds.download.DownloadConfig(manual_dir=small_data.manual_dir)
    with pytest.raises(WriteError, match="was planned to hold") as raised:
        builder.download_and_prepare(download_config=config)
    assert re.search(told, str(raised.value))
    assert not builder.data_path.exists()


def test_decoded_images_are_rgb(build):
    for example in build().as_dataset(split="train").as_numpy_iterator():
        assert example["image"].dtype == np.uint8
        assert example["image"].shape == (30, 40, 3)
