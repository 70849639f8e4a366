"""Objects in a bucket: ranges, versions and errors, at servers of real protocols."""

import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from imagenet2012_subset import ArchiveError, ManualDirError
from imagenet2012_subset.storage import object_store
from imagenet2012_subset.storage.files import Files, Range, read_in_order
from imagenet2012_subset.storage.object_store import object_status
from imagenet2012_subset.storage.open import exists, find_files, open_files, read_file
from tests.shared.fault_proxy import FaultProxy
from tests.shared.stores import delete, put

DATA = np.random.default_rng(0).bytes(1_000_003)
STRETCH = 64 << 10


@pytest.fixture
def url(bucket: str) -> str:
    """An object."""
    put(f"{bucket}/a folder/with 100%/some.tar", DATA)
    return f"{bucket}/a folder/with 100%/some.tar"


@pytest.fixture
def short_stretches(monkeypatch) -> None:
    monkeypatch.setattr(object_store, "_STRETCH", STRETCH)
    monkeypatch.setattr(object_store, "_STRETCHES_AT_A_TIME", 4)


@pytest.fixture
def few_retries(monkeypatch) -> Iterator[None]:
    monkeypatch.setitem(object_store._RETRIES, "max_retries", 1)
    object_store._store.cache_clear()
    yield
    object_store._store.cache_clear()


def _open(url: str) -> Files:
    return open_files(find_files([url]))


def test_ranges_are_read_in_order_whether_prefetched_or_not(url):
    places = np.random.default_rng(1).integers(0, len(DATA) - 5000, 300).tolist()
    ranges = [Range(0, place, 1 + place % 5000) for place in places]
    with _open(url) as files:
        expected = [DATA[offset : offset + size] for _, offset, size in ranges]
        assert list(read_in_order(files, ranges)) == expected
        assert files.read(0, 7, 100) == DATA[7:107]
        assert (files.path(0), files.size(0)) == (url, len(DATA))


def test_the_address_of_an_emulator_needs_no_scheme(
    google_bucket, google: FaultProxy, monkeypatch
):
    put(f"{google_bucket}/some.tar", DATA)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url.removeprefix("http://"))
    assert exists(f"{google_bucket}/some.tar")
    assert not exists(f"{google_bucket}/other.tar")


def test_each_version_has_a_different_number(url):
    first = object_status(url)
    assert (first.size, first.what) == (len(DATA), None)
    assert first == object_status(url)
    put(url, DATA[::-1])
    second = object_status(url)
    assert second.size == first.size
    assert second.changed_ns != first.changed_ns
    assert 0 <= second.changed_ns < 1 << 63


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize(
    "new",
    [DATA[::-1], DATA[:100], b"", None],
    ids=["as long", "shorter", "empty", "deleted"],
)
@pytest.mark.parametrize("is_in_order", [False, True])
@pytest.mark.parametrize("reads_before", [0, 1])
def test_a_replaced_or_deleted_object_is_an_error(url, new, is_in_order, reads_before):
    with _open(url) as opened:
        files = opened.sequential() if is_in_order else opened
        for _ in range(reads_before):
            assert files.read(0, 1000, 10) == DATA[1000:1010]
        delete(url) if new is None else put(url, new)
        with pytest.raises(ArchiveError, match=f"{url}: was replaced or deleted"):
            files.read(0, 900_000, 10)


def test_what_does_not_exist(bucket, url):
    assert exists(url)
    assert not exists(f"{url}.2")
    with pytest.raises(ArchiveError, match=f"{url}.2: .*no such object"):
        find_files([f"{url}.2"])
    with pytest.raises(ManualDirError, match=f"{bucket}-2: is not an existing bucket"):
        exists(f"{bucket}-2/some.tar")


def test_an_empty_object(bucket):
    put(f"{bucket}/empty", b"")
    assert object_status(f"{bucket}/empty").size == 0
    assert read_file(f"{bucket}/empty") == b""


@pytest.mark.parametrize("is_open", [False, True])
def test_refused_access_is_reported_as_such(url, s3: FaultProxy, is_open):
    files = _open(url)
    with (
        s3.failing(lambda request: "forbidden"),
        pytest.raises(ManualDirError, match=rf"{url}: .*denied access \(403") as raised,
    ):
        files.read(0, 0, 10) if is_open else find_files([url])
    assert "AWS_ACCESS_KEY_ID" in raised.value.remedy


def test_missing_credentials_are_reported_as_such(
    url, few_retries, monkeypatch, tmp_path
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # For boto3.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ManualDirError, match="denied access"):
        find_files([url])


def test_a_profile_is_used(url, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        "[mine]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    with _open(url) as files:
        assert files.read(0, 0, 10) == DATA[:10]


@pytest.mark.parametrize("fault", ["error", "cut", "half"])
def test_faults_that_last_are_an_error_with_object_and_byte(
    url, s3: FaultProxy, few_retries, fault
):
    files = _open(url)
    problem = f"{url}: cannot be read at byte 5,000"
    with (
        s3.failing(lambda request: fault),
        pytest.raises(ArchiveError, match=problem) as raised,
    ):
        files.read(0, 5000, 100)
    assert "\n" not in str(raised.value)


def test_a_server_that_does_not_answer_is_an_error(url, few_retries, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ArchiveError, match=f"{url}: cannot be looked up"):
        find_files([url])


def test_a_missing_package_is_an_error_that_says_how_to_install_it(monkeypatch):
    object_store._store.cache_clear()
    for name in ("obstore", "obstore.store"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ManualDirError, match=r"pip install '\.\[buckets\]'"):
        find_files(["s3://bucket/some.tar"])


def test_small_reads_in_order_take_a_request_for_each_stretch(
    url, s3: FaultProxy, short_stretches
):
    files = _open(url).sequential()
    assert files.in_step == 1
    s3.requests.clear()
    for offset in range(0, len(DATA) - 512, 1024):
        assert files.read(0, offset, 512) == DATA[offset : offset + 512]
    # Across two stretches, and back within the one before.
    assert files.read(0, 15 * STRETCH - 100, 200) == DATA[15 * STRETCH - 100 :][:200]
    assert files.read(0, 14 * STRETCH, 10) == DATA[14 * STRETCH :][:10]
    reads = [request.first for request in s3.requests]
    assert sorted(reads) == list(range(0, len(DATA), STRETCH))
    with pytest.raises(ArchiveError, match=r"ends at byte 1,000,003"):
        files.read(0, len(DATA) - 5, 6)


def test_skipped_stretches_are_not_read(url, s3: FaultProxy, short_stretches):
    files = _open(url).sequential()
    s3.requests.clear()
    assert files.read(0, 0, 512) == DATA[:512]
    assert files.read(0, 12 * STRETCH + 5, 512) == DATA[12 * STRETCH + 5 :][:512]
    assert files.read(0, 3, 5) == DATA[3:8]
    read = {request.first // STRETCH for request in s3.requests}
    assert {0, 12} <= read <= {0, 1, 2, 3, 12, 13, 14, 15}


def test_the_variables_of_the_environment_are_read_each_time(url, monkeypatch):
    assert exists(url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["AWS_ENDPOINT_URL"] + "/other")
    with pytest.raises((ManualDirError, ArchiveError)):
        find_files([url])
