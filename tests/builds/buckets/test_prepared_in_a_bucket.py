"""An imagenet2012 that TFDS prepared, in a bucket."""

from __future__ import annotations

import pytest

from imagenet2012_subset import ArchiveError
from tests.conftest import Build, SmallData
from tests.shared import prepared
from tests.shared.final_place import contents
from tests.shared.stores import put_folder


def _prepared(
    small_data: SmallData, folder, url: str, file_format: str = "tfrecord"
) -> str:
    """Writes the small data as a dataset with both splits; returns its data_dir."""
    training = [image for images in small_data.training.values() for image in images]
    splits = []
    for split, images in (("train", training), ("validation", small_data.validation)):
        records = [prepared.record(*image) for image in images]
        shards = [records[:2], records[2:]]
        lengths = [str(len(shard)) for shard in shards]
        splits.append({"name": split, "shardLengths": lengths})
        prepared.write_version(
            folder, split, shards, file_format=file_format, splits=splits
        )
    put_folder(folder, f"{url}/imagenet2012/5.1.0")
    return url


@pytest.mark.parametrize("below", ["", "/imagenet2012", "/imagenet2012/5.1.0"])
def test_same_bytes_as_from_local_tars(
    build: Build, small_data, google_bucket, tmp_path, below
):
    data_dir = _prepared(small_data, tmp_path / "5.1.0", google_bucket)
    local = build(data_dir=tmp_path / "local")
    remote = build(manual_dir=data_dir + below)
    assert contents(remote.data_path) == contents(local.data_path)


def test_array_record_files_are_refused(
    build: Build, small_data, google_bucket, tmp_path
):
    folder = tmp_path / "5.1.0"
    data_dir = _prepared(small_data, folder, google_bucket, "array_record")
    with pytest.raises(ArchiveError, match="cannot be read in a bucket"):
        build(manual_dir=data_dir)


def test_a_missing_shard(build: Build, small_data, google_bucket, tmp_path):
    folder = tmp_path / "5.1.0"
    data_dir = _prepared(small_data, folder, google_bucket)
    content = (folder / "dataset_info.json").read_text()
    changed = content.replace('"2", "3"', '"2", "3", "1"')
    (folder / "dataset_info.json").write_text(changed)
    put_folder(folder, f"{google_bucket}/imagenet2012/5.1.0")
    with pytest.raises(ArchiveError, match="-of-00003: does not exist, but dataset_"):
        build(manual_dir=data_dir)
