"""When an existing dataset is the requested one, and the error if it is not."""

from __future__ import annotations

import dataclasses
import socket
import threading

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset import SubsetConfig, SubsetListError, WriteError
from imagenet2012_subset.errors import DatasetError
from imagenet2012_subset.prepared.provenance import (
    Provenance,
    ensure_same,
    metadata_of,
)
from imagenet2012_subset.subset.subset_list import fingerprint

FOLDER = epath.Path("a/dataset")
BUILT = Provenance(
    num_examples={"train": 6, "validation": 5},
    names_sha256="ab",
    num_names=6,
    subset_list="list.txt",
)
NAMES = ["n01440764_1.JPEG", "n01443537_2.JPEG", "n01443537_3.JPEG"]


def _differs(requested: Provenance, found: Provenance) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        ensure_same(requested, found, FOLDER)
    assert "download_mode=" in caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "requested",
    [
        {},
        {"ignore_duplicates": True},
        {"num_names": 7, "subset_list": "another.txt"},
        # A published list cannot change, and need not be known.
        {"names_sha256": None},
    ],
)
def test_what_makes_no_difference(requested):
    ensure_same(dataclasses.replace(BUILT, **requested), BUILT, FOLDER)


def test_no_list_is_compared_where_there_are_no_images():
    empty = dataclasses.replace(BUILT, num_examples={}, names_sha256="cd")
    ensure_same(empty, dataclasses.replace(BUILT, num_examples={}), FOLDER)
    error = _differs(empty, BUILT)
    assert isinstance(error, WriteError)
    assert error.problem == "has 6 train images, but 0 are requested"


def test_a_different_list():
    error = _differs(dataclasses.replace(BUILT, names_sha256="cd"), BUILT)
    assert isinstance(error, SubsetListError)
    assert (error.path, error.problem) == (
        "list.txt",
        f"is not the list that {FOLDER} was built from",
    )
    nameless = dataclasses.replace(BUILT, names_sha256="cd", subset_list=None)
    assert _differs(nameless, BUILT).path == "subset_list"


def test_a_list_that_is_not_recorded():
    error = _differs(BUILT, dataclasses.replace(BUILT, names_sha256=None))
    assert isinstance(error, WriteError)
    assert error.problem == "does not record which subset list it was built from"


@pytest.mark.parametrize(
    ("requested", "found", "problem"),
    [
        ({"train": 1}, {"train": 2}, "has 2 train images, but 1 are requested"),
        ({"train": 2}, {"train": 1}, "has 1 train image, but 2 are requested"),
        (
            {"train": 1},
            {"train": 1, "validation": 3},
            "has 3 validation images, but 0 are requested",
        ),
        (
            {"train": 1, "validation": 3},
            {"train": 1},
            "has 0 validation images, but 3 are requested",
        ),
    ],
)
def test_a_different_number_of_images(requested, found, problem):
    error = _differs(
        dataclasses.replace(BUILT, num_examples=requested),
        dataclasses.replace(BUILT, num_examples=found),
    )
    assert isinstance(error, WriteError)
    assert (error.path, error.problem) == (str(FOLDER), problem)


def test_a_different_order():
    kept = dataclasses.replace(BUILT, nondeterministic_order=True)
    ensure_same(kept, kept, FOLDER)
    assert _differs(BUILT, kept).problem == (
        "has its images in the order of the archives, but TFDS's order is requested"
    )
    assert _differs(kept, BUILT).problem == (
        "has its images in TFDS's order, but the order of the archives is requested"
    )


def test_duplicates_that_were_ignored():
    ignored = dataclasses.replace(BUILT, ignore_duplicates=True)
    ensure_same(ignored, ignored, FOLDER)
    assert "ignore_duplicates" in _differs(BUILT, ignored).problem


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(NAMES))
    return SubsetConfig(name="small", subset_list=str(path), validation_images=5)


@pytest.mark.parametrize(
    ("most", "num_examples"),
    [
        (None, {"train": 3, "validation": 5}),
        (4, {"train": 3, "validation": 4}),
        (1, {"train": 1, "validation": 1}),
        (0, {}),
    ],
)
def test_what_a_users_own_list_requests(config, most, num_examples):
    options = tfds.download.DownloadConfig(
        max_examples_per_split=most, ignore_duplicates=True
    )
    requested = Provenance.requested(config, options, BUILT, FOLDER, own_list=True)
    assert requested.num_examples == num_examples
    assert requested.ignore_duplicates
    assert not requested.nondeterministic_order
    assert requested.subset_list == config.subset_list
    assert requested.names_sha256 == (None if most == 0 else fingerprint(NAMES))


def test_a_published_list_is_not_read(tmp_path):
    config = SubsetConfig(
        name="published",
        subset_list=str(tmp_path / "none.txt"),
        training_images=7,
        validation_images=5,
    )
    options = tfds.download.DownloadConfig()
    requested = Provenance.requested(config, options, BUILT, FOLDER, own_list=False)
    assert requested.num_examples == {"train": 7, "validation": 5}
    assert requested.names_sha256 is None
    assert not requested.ignore_duplicates


def test_metadata_of_a_local_list(config):
    options = tfds.download.DownloadConfig(max_examples_per_split=2)
    assert metadata_of(config, NAMES, options, "builder 1") == {
        "training_names_sha256": fingerprint(NAMES),
        "training_names": 3,
        "subset_list_url": None,  # A path says nothing on another machine.
        "validation_images": 5,
        "max_examples_per_split": 2,
        "ignore_duplicates": False,
        "made_by": "builder 1",
    }


@pytest.fixture
def cut_off():
    """A server that closes the connection in the middle of every answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1 << 16)
                    body = "\n".join(NAMES[:2])
                    header = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) * 2}"
                    connection.sendall(f"{header}\r\n\r\n{body}".encode())

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/list.txt"


def _requested_from(url: str, found: Provenance) -> Provenance:
    config = SubsetConfig(name="remote", subset_list=url, validation_images=5)
    options = tfds.download.DownloadConfig()
    return Provenance.requested(config, options, found, FOLDER, own_list=True)


def test_a_download_that_is_cut_off_is_not_taken_for_a_different_list(cut_off):
    found = dataclasses.replace(BUILT, subset_list=cut_off)
    requested = _requested_from(cut_off, found)
    assert requested.names_sha256 == found.names_sha256
    with pytest.raises(SubsetListError, match="cannot be downloaded"):
        _requested_from(cut_off, BUILT)
