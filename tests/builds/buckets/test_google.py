"""Archives at a server of Google's protocol."""

from __future__ import annotations

import pytest

from imagenet2012_subset import ArchiveError, ManualDirError
from tests.builds.buckets.conftest import failing_now_and_then
from tests.conftest import Build, SmallData
from tests.shared.fault_proxy import FaultProxy, Request
from tests.shared.final_place import contents
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
    with failing_now_and_then(google):
        remote = build(manual_dir=manual_dir, num_shards=2)
    assert contents(remote.data_path) == contents(local.data_path)


def test_an_object_that_is_replaced_meanwhile_is_noticed(
    build: Build, manual_dir, google: FaultProxy, small_data: SmallData, final
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
    assert not final.exists()


def test_what_does_not_exist_is_an_error(build: Build, google_bucket):
    with pytest.raises(ManualDirError, match=f"{TRAIN}: does not exist"):
        build(manual_dir=f"{google_bucket}/nothing")
