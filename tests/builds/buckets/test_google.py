"""Archives, and an imagenet2012 that TFDS prepared, at Google's protocol."""

from __future__ import annotations

import pytest

from imagenet2012_subset import ArchiveError
from tests.shared import prepared
from tests.shared.fault_proxy import Request
from tests.shared.final_place import contents
from tests.shared.stores import put_folder


def _prepared(small_data, folder, url: str, file_format: str = "tfrecord") -> str:
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
def test_same_bytes_as_from_tars(build, small_data, google_bucket, tmp_path, below):
    data_dir = _prepared(small_data, tmp_path / "5.1.0", google_bucket)
    local = build(data_dir=tmp_path / "local")
    remote = build(manual_dir=data_dir + below)
    assert contents(remote.data_path) == contents(local.data_path)


def test_array_record_files_are_refused(build, small_data, google_bucket, tmp_path):
    folder = tmp_path / "5.1.0"
    data_dir = _prepared(small_data, folder, google_bucket, "array_record")
    with pytest.raises(ArchiveError, match="cannot be read in a bucket"):
        build(manual_dir=data_dir)


def test_a_missing_shard(build, small_data, google_bucket, tmp_path):
    folder = tmp_path / "5.1.0"
    data_dir = _prepared(small_data, folder, google_bucket)
    content = (folder / "dataset_info.json").read_text()
    changed = content.replace('"2", "3"', '"2", "3", "1"')
    (folder / "dataset_info.json").write_text(changed)
    put_folder(folder, f"{google_bucket}/imagenet2012/5.1.0")
    with pytest.raises(ArchiveError, match="-of-00003: does not exist, but dataset_"):
        build(manual_dir=data_dir)


def test_the_same_bytes_although_requests_fail(
    build, small_data, google, google_bucket, tmp_path
):
    local = build(data_dir=tmp_path / "local", num_shards=2)
    manual_dir = put_folder(small_data.manual_dir, f"{google_bucket}/manual")
    faults: list[str] = []

    def every_third(request: Request) -> str | None:
        """Lets every third read fail, each time in another way."""
        if request.first is None or len(google.requests) % 3:
            return None
        faults.append(("error", "cut", "half")[len(faults) % 3])
        return faults[-1]

    with google.failing(every_third):
        remote = build(manual_dir=manual_dir, num_shards=2)
    assert contents(remote.data_path) == contents(local.data_path)
    assert {*faults} == {"error", "cut", "half"}
