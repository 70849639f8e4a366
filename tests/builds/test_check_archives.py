"""`check MANUAL_DIR`: what is wrong with archives and lists is never called well."""

import dataclasses
import hashlib
import json
import tarfile

import pytest
from tensorflow_datasets.core.download.checksums import UrlInfo

from imagenet2012_subset import Builder
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.check import archives as check_archives
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.originals import TRAINING, VALIDATION


@pytest.fixture
def check(capsys):
    def run(*arguments: object) -> tuple[int, dict[str, list[tuple[bool, str]]]]:
        """Returns the exit status, and (ok, message) of the findings by subject."""
        capsys.readouterr()
        status = main(["check", "--json", *map(str, arguments)])
        found: dict[str, list[tuple[bool, str]]] = {}
        for finding in json.loads(capsys.readouterr().out)["findings"]:
            known = found.setdefault(finding["subject"], [])
            known.append((finding["ok"], finding["message"]))
        return status, found

    return run


def _headers(paths: list[str]) -> bytes:
    """Returns a tar of empty files, as only headers count here."""
    start = tarfile.TarInfo("x" * 60).tobuf(tarfile.USTAR_FORMAT)
    at = sum(start[:60])
    blocks = []
    for path in paths:
        name = path.encode().ljust(60, b"\0")
        checksum = int(start[148:154], 8) - at + sum(name)
        blocks.append(name + start[60:148] + b"%06o\0 " % checksum + start[156:])
    return b"".join([*blocks, bytes(10240)])


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A folder with a training archive that has an image of each synset.

    That counts as the whole of it: the true one has 1,281,167 headers.
    """
    original = dataclasses.replace(TRAINING, num_images=1000)
    monkeypatch.setattr(check_archives, "TRAINING", original)
    folder = tmp_path / "manual"
    folder.mkdir()
    _write_training(folder, names.wnids())
    return folder


@pytest.fixture
def complete(training):
    """The same, with all 50,000 validation images."""
    _write_validation(training, range(1, names.NUM_VALIDATION_IMAGES + 1))
    return training


def _write_training(folder, wnids) -> None:
    paths = [f"{wnid}/{wnid}_1.JPEG" for wnid in wnids]
    (folder / TRAINING.file_name).write_bytes(_headers(paths))


def _write_validation(folder, numbers) -> None:
    paths = [names.validation_name(n) for n in numbers]
    (folder / VALIDATION.file_name).write_bytes(_headers(paths))


def test_complete_archives_are_well(complete, check):
    status, found = check(complete)
    assert status == 0
    assert set(found) == {TRAINING.file_name, VALIDATION.file_name}


def test_an_archive_of_other_bytes_is_not_the_original(complete, check):
    status, found = check(complete, "--sha256")
    assert status == 1
    for name in (TRAINING.file_name, VALIDATION.file_name):
        assert found[name][1] == (False, "sha256 is not the original's")


def test_an_archive_of_the_originals_bytes_is(training, check, monkeypatch):
    sha256 = hashlib.sha256((training / TRAINING.file_name).read_bytes()).hexdigest()
    original = dataclasses.replace(TRAINING, num_images=1000, sha256=sha256)
    monkeypatch.setattr(check_archives, "TRAINING", original)
    _, found = check(training, "--sha256")
    assert found[TRAINING.file_name][1] == (True, "sha256 as the original's")


def test_a_synset_that_lacks_is_named(training, check):
    _write_training(training, names.wnids()[:-1])
    status, found = check(training)
    assert status == 1
    ((ok, message),) = found[TRAINING.file_name]
    assert not ok
    assert f"synsets without an image: {names.wnids()[-1]}" in message


def test_an_image_twice_is_not_complete(training, check, monkeypatch):
    _write_training(training, [*names.wnids(), names.wnids()[7]])
    original = dataclasses.replace(TRAINING, num_images=1001)
    monkeypatch.setattr(check_archives, "TRAINING", original)
    status, found = check(training)
    assert status == 1
    ((ok, message),) = found[TRAINING.file_name]
    assert not ok
    assert "1 names stand more than once" in message


def test_an_image_twice_in_place_of_another_is_not_complete(training, check):
    _write_validation(training, [*range(1, names.NUM_VALIDATION_IMAGES), 1])
    ((ok, message),) = check(training)[1][VALIDATION.file_name]
    assert not ok
    assert "lacks 1 of 50,000 images (ILSVRC2012_val_00050000.JPEG)" in message


def test_a_damaged_archive_is_a_finding_and_the_other_is_checked(complete, check):
    path = complete / TRAINING.file_name
    path.write_bytes(path.read_bytes()[: 100 * 512 + 17])
    status, found = check(complete)
    assert status == 1
    ((ok, message),) = found[TRAINING.file_name]
    assert not ok
    assert "cut off" in message
    assert found[VALIDATION.file_name][0][0]


@pytest.mark.parametrize("original", [TRAINING, VALIDATION])
def test_an_archive_that_lacks_is_a_finding(complete, check, original):
    (complete / original.file_name).unlink()
    status, found = check(complete)
    assert status == 1
    assert not found[original.file_name][0][0]
    assert len(found) == 2


@pytest.fixture
def published(monkeypatch):
    """Makes a text the list of `1pct`, and writes it."""

    def publish(folder, listed: list[str]) -> None:
        data = "".join(f"{name}\n" for name in listed).encode()
        url = Builder.builder_configs["1pct"].subset_list
        info = UrlInfo(len(data), hashlib.sha256(data).hexdigest(), "1percent.txt")
        monkeypatch.setitem(Builder.url_infos, url, info)
        (folder / "1percent.txt").write_bytes(data)

    return publish


def test_the_right_list_of_images_that_are_there(complete, check, published):
    published(complete, [f"{wnid}_1.JPEG" for wnid in names.wnids()[::9]])
    status, found = check(complete)
    assert status == 0
    ((ok, message),) = found["1percent.txt"]
    assert ok
    assert "112 names" in message


def test_the_right_list_of_an_image_that_is_not_there(training, check, published):
    listed = [f"{wnid}_1.JPEG" for wnid in names.wnids()[::9]]
    published(training, [*listed, "n01440764_2.JPEG"])
    status, found = check(training)
    assert status == 1
    ((ok, message),) = found["1percent.txt"]
    assert not ok
    assert "lacks 1 of 113 images (n01440764_2.JPEG)" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.replace(b"\n", b"\r\n"), "CRLF"),
        (lambda data: data[:100], "cut off"),
        (lambda data: data + b"n01440764_2.JPEG\n", "its sha256 is another"),
        (lambda data: data.replace(b"n01440764_1.", b"n01440764_2."), "sha256"),
        (lambda data: b"", "cut off"),
    ],
)
def test_a_wrong_list_is_a_finding(training, check, published, change, said):
    published(training, [f"{wnid}_1.JPEG" for wnid in names.wnids()])
    path = training / "1percent.txt"
    path.write_bytes(change(path.read_bytes()))
    status, found = check(training)
    assert status == 1
    ((ok, message),) = found["1percent.txt"]
    assert not ok
    assert said in message


def test_a_folder_in_place_of_a_list_is_a_finding(training, check):
    (training / "10percent.txt").mkdir()
    status, found = check(training)
    assert status == 1
    assert not found["10percent.txt"][0][0]


def test_the_published_lists_are_taken(training, check, real_data):
    for name in ("1percent.txt", "10percent.txt"):
        (training / name).write_bytes((real_data / "lists" / name).read_bytes())
    status, found = check(training)
    assert status == 1
    for name, number in (("1percent.txt", "12,811"), ("10percent.txt", "128,116")):
        ((ok, message),) = found[name]
        assert not ok
        assert f"{number} names" in message
        assert "lacks" in message
