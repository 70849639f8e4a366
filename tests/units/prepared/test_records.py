"""The records of a shard, in each format."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from imagenet2012_subset.imagenet import names
from imagenet2012_subset.prepared.dataset import open_dataset
from imagenet2012_subset.prepared.records import UnreadableShard, read_shard


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record", "parquet"])
def test_all_records_in_order(build, small_data, file_format):
    dataset = open_dataset(build(file_format=file_format, num_shards=2).data_path)
    shards = [list(read_shard(dataset, "train", number)) for number in (0, 1)]
    assert [len(shard) for shard in shards] == [3, 3]
    images = {
        name: data for named in small_data.training.values() for name, data in named
    }
    for name, image, label in shards[0] + shards[1]:
        assert images[name] == image
        assert names.wnids()[label] == names.wnid(name)
    assert sorted(name for name, _, _ in shards[0] + shards[1]) == sorted(
        small_data.listed
    )


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_a_shard_that_is_damaged(build, file_format):
    dataset = open_dataset(build(file_format=file_format).data_path)
    (path,) = dataset.shard_paths("validation")
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(UnreadableShard, match="cannot be read") as raised:
        list(read_shard(dataset, "validation", 0))
    assert raised.value.path == str(path)


def test_array_record_is_read_without_tensorflow(build):
    folder = build(file_format="array_record").data_path
    script = (
        "import sys\n"
        "from etils import epath\n"
        "from imagenet2012_subset.prepared.dataset import open_dataset\n"
        "from imagenet2012_subset.prepared.records import read_shard\n"
        f"dataset = open_dataset(epath.Path({str(folder)!r}))\n"
        "assert len(list(read_shard(dataset, 'train', 0))) == 6\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
