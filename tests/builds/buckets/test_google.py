"""Archives at a server of Google's protocol."""

from __future__ import annotations

import pytest

from imagenet2012_subset import ArchiveError, ManualDirError
from tests.conftest import Build, SmallData
from tests.shared.fault_proxy import FaultProxy, Request
from tests.shared.stores import put_folder

TRAIN = "ILSVRC2012_img_train.tar"


@pytest.fixture
def manual_dir(google_bucket: str, small_data: SmallData) -> str:
    """The small archives in a bucket."""
    return put_folder(small_data.manual_dir, f"{google_bucket}/downloads/manual")


def test_the_bytes_are_those_of_a_local_build_also_if_requests_fail(
    build: Build, manual_dir, google: FaultProxy, tmp_path
):
    local = build(data_dir=tmp_path / "local", num_shards=2)
    faults = []

    def now_and_then(request: Request) -> str | None:
        if request.first is None or len(google.requests) % 3:
            return None
        faults.append(("error", "cut", "half")[len(faults) % 3])
        return faults[-1]

    with google.failing(now_and_then):
        remote = build(manual_dir=manual_dir, num_shards=2)
    assert {"error", "cut", "half"} <= set(faults)
    for path in local.data_path.iterdir():
        assert (remote.data_path / path.name).read_bytes() == path.read_bytes()


def test_an_object_that_is_replaced_meanwhile_is_noticed(
    build: Build, manual_dir, google: FaultProxy, small_data: SmallData, tmp_path
):
    is_replaced = False

    def replace(request: Request) -> None:
        nonlocal is_replaced
        if not is_replaced and len(google.reads_of(TRAIN)) > 2:
            is_replaced = True
            put_folder(small_data.manual_dir, manual_dir)

    with (
        google.failing(replace),
        pytest.raises(ArchiveError, match="was replaced or deleted"),
    ):
        build(manual_dir=manual_dir)
    assert is_replaced
    assert not list((tmp_path / "data").glob("*/*/5.0.0"))


def test_what_does_not_exist_is_an_error(build: Build, google_bucket):
    with pytest.raises(ManualDirError, match=f"{TRAIN}: does not exist"):
        build(manual_dir=f"{google_bucket}/nothing")
