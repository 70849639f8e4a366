"""Archives and datasets at a server of Google's protocol, read and written by gcsfs."""

from __future__ import annotations

import pytest

from imagenet2012_subset import ArchiveError, ManualDirError
from tests.conftest import Build, SmallData
from tests.shared.fault_proxy import FaultProxy, Request
from tests.shared.stores import objects, put_folder

TRAIN = "ILSVRC2012_img_train.tar"


@pytest.fixture
def manual_dir(google_bucket: str, small_data: SmallData) -> str:
    """The small archives in a bucket."""
    return put_folder(small_data.manual_dir, f"{google_bucket}/downloads/manual")


def test_archives_and_dataset_in_a_bucket(
    build: Build, manual_dir, google_bucket, tmp_path
):
    local = build(data_dir=tmp_path / "local", num_shards=2)
    build(manual_dir=manual_dir, data_dir=f"{google_bucket}/data", num_shards=2)
    expected = {path.name: path.read_bytes() for path in local.data_path.iterdir()}
    assert objects(f"{google_bucket}/data/imagenet2012_subset/small/5.0.0") == expected


def test_requests_that_fail_now_and_then_are_made_again(
    build: Build, manual_dir, google: FaultProxy, tmp_path
):
    local = build(data_dir=tmp_path / "local")
    faults = []

    def now_and_then(request: Request) -> str | None:
        if request.first is None or len(google.requests) % 9:
            return None
        faults.append(("error", "cut", "half")[len(faults) % 3])
        return faults[-1]

    with google.failing(now_and_then):
        remote = build(manual_dir=manual_dir)
    assert {"error", "cut", "half"} <= set(faults)
    for path in local.data_path.iterdir():
        assert (remote.data_path / path.name).read_bytes() == path.read_bytes()


def test_an_object_that_is_replaced_meanwhile_is_noticed(
    build: Build, manual_dir, google: FaultProxy, small_data: SmallData, tmp_path
):
    is_replaced = False

    def replace(request: Request) -> None:
        nonlocal is_replaced
        if not is_replaced and len(google.reads_of(TRAIN)) > 5:
            is_replaced = True
            put_folder(small_data.manual_dir, manual_dir)

    with google.failing(replace), pytest.raises(ArchiveError) as raised:
        build(manual_dir=manual_dir)
    assert is_replaced
    assert "no longer the object" in raised.value.problem
    assert not list((tmp_path / "data").glob("*/*/5.0.0"))


def test_what_is_not_there_is_an_error(build: Build, google_bucket):
    with pytest.raises(ManualDirError, match="is empty"):
        build(manual_dir=f"{google_bucket}/nothing")
