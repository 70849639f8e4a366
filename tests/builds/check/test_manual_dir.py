"""`check MANUAL_DIR`: archives, extracted images and lists, complete and incomplete."""

import hashlib
import tarfile

import pytest
from tensorflow_datasets.core.download.checksums import UrlInfo

from imagenet2012_subset import Builder
from imagenet2012_subset.__main__ import main
from imagenet2012_subset.check import folder as check_folder
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.sources.tar_archive import TarArchive
from tests.shared import forms


def test_report_as_text_and_json(small_data, check, capsys, tmp_path):
    assert main(["check", str(small_data.manual_dir)]) == 1
    printed = capsys.readouterr().out
    assert "12 of 1,281,167 images in 3 of 1,000 synsets" in printed
    assert "49,995 of 50,000 images (ILSVRC2012_val_00000006.JPEG" in printed
    assert TRAINING.how_to_get in printed
    findings = check(small_data.manual_dir, "--data_dir", tmp_path / "data").findings
    facts = findings[TRAINING.file_name][0]["facts"]
    assert facts["images_per_synset"]["n01443537"] == 4
    assert len(facts["images_per_synset"]) == 1000
    assert facts["original_size"] == 147_897_477_120
    assert findings[VALIDATION.file_name][0]["facts"]["images"] == 5
    # The indices are saved for the build.
    assert len(list((tmp_path / "data" / "downloads").rglob("*.index.npz"))) == 2


def _headers(paths: list[str]) -> bytes:
    """Returns a tar of empty files: only headers matter here."""
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
    """A directory with a training archive that has one image for each synset.

    This counts as complete: the original has 1,281,167 headers.
    """
    monkeypatch.setattr(check_folder, "_NUM_TRAINING_IMAGES", 1000)
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


def test_complete_archives_and_sha256(complete, check, monkeypatch):
    checked = check(complete)
    assert checked.status == 0
    assert set(checked.findings) == {TRAINING.file_name, VALIDATION.file_name}
    findings = check(complete, "--sha256").findings
    for name in (TRAINING.file_name, VALIDATION.file_name):
        digest = hashlib.sha256((complete / name).read_bytes()).hexdigest()
        assert findings[name][1]["facts"]["sha256"] == digest
        assert not findings[name][1]["ok"]
    monkeypatch.setattr(TarArchive, "sha256", lambda source: source.original.sha256)
    assert check(complete, "--sha256").status == 0


def test_missing_and_duplicate_images(training, check, monkeypatch):
    _write_training(training, names.wnids()[:-1])
    _write_validation(training, [*range(1, names.NUM_VALIDATION_IMAGES), 1])
    wrong = check(training).wrong
    (message,) = wrong[TRAINING.file_name]
    assert "999 of 1,000 synsets" in message
    assert names.wnids()[-1] in message
    (message,) = wrong[VALIDATION.file_name]
    assert "1 of 50,000 images (ILSVRC2012_val_00050000.JPEG)" in message
    _write_training(training, [*names.wnids(), names.wnids()[7]])
    monkeypatch.setattr(check_folder, "_NUM_TRAINING_IMAGES", 1001)
    (message,) = check(training).wrong[TRAINING.file_name]
    assert "1 name more than once" in message


def test_damaged_or_missing_archive_does_not_hide_the_other(complete, check):
    training, validation = (complete / one.file_name for one in (TRAINING, VALIDATION))
    training.write_bytes(training.read_bytes()[: 100 * 512 + 17])
    wrong = check(complete).wrong
    assert set(wrong) == {training.name}
    assert "cut off" in wrong[training.name][0]
    training.unlink()
    assert set(check(complete).wrong) == {training.name}
    validation.unlink()
    assert set(check(complete).wrong) == {training.name, validation.name}


@pytest.mark.parametrize(
    ("training", "validation"), [("the tar", "the tar"), ("train/<wnid>/", "val/")]
)
def test_image_with_another_suffix(small_data, check, tmp_path, training, validation):
    for images in (small_data.training["n01440764"], small_data.validation):
        name, data = images.pop()
        images.append((name.replace(".JPEG", ".jpeg"), data))
    folder = tmp_path / "form"
    folder.mkdir()
    forms.TRAINING_FORMS[training](small_data, folder)
    forms.VALIDATION_FORMS[validation](small_data, folder)
    (of_training,), (of_validation,) = check(folder).wrong.values()
    assert "n01440764_11.jpeg" in of_training
    assert "ILSVRC2012_val_00000002.jpeg" in of_validation
    assert "49,996 of 50,000 images (ILSVRC2012_val_00000002.JPEG" in of_validation


def test_fewer_validation_images(small_data, check):
    number = len(small_data.validation)
    (finding,) = check(small_data.manual_dir, "--validation_images", number).findings[
        VALIDATION.file_name
    ]
    assert finding["ok"]
    assert f"images 1 to {number}, each once" in finding["message"]
    wrong = check(small_data.manual_dir, "--validation_images", number - 1).wrong
    assert "outside 1 to" in wrong[VALIDATION.file_name][0]


def test_options_without_effect(small_data, dataset, check):
    folder = small_data.manual_dir
    remark = "--sha256 has no effect on a prepared dataset"
    assert check(dataset, "--sha256").remarks == [remark]
    assert check(dataset.parents[2], "--sha256").remarks == [remark]
    remark = "--manual_dir has no effect on a manual directory"
    assert check(folder, "--manual_dir", folder).remarks == [remark]
    assert not check(dataset, "--manual_dir", folder).remarks
    assert not check(folder, "--sha256").remarks


def test_given_list(small_data, check, tmp_path):
    given = tmp_path / "given.txt"
    given.write_text("n01440764_7.JPEG\n")
    arguments = (small_data.manual_dir, "--subset_list", given)
    assert check(*arguments).findings["subset_list"][0]["ok"]
    given.write_text("n01440764_7.JPEG\nn01440764_8.JPEG\n")
    (message,) = check(*arguments).wrong["subset_list"]
    assert "1 of 2 images (n01440764_8.JPEG)" in message
    assert message.endswith("reports what a directory contains")


@pytest.fixture
def published(monkeypatch):
    """Makes names the published list of `1pct`, and writes it."""

    def publish(folder, listed: list[str]) -> None:
        data = "".join(f"{name}\n" for name in listed).encode()
        url = Builder.builder_configs["1pct"].subset_list
        info = UrlInfo(len(data), hashlib.sha256(data).hexdigest(), "1percent.txt")
        monkeypatch.setitem(Builder.url_infos, url, info)
        (folder / "1percent.txt").write_bytes(data)

    return publish


def test_published_list(training, check, published):
    listed = [f"{wnid}_1.JPEG" for wnid in names.wnids()[::9]]
    published(training, listed)
    (finding,) = check(training).findings["1percent.txt"]
    assert finding["ok"]
    assert "112 names" in finding["message"]
    published(training, [*listed, "n01440764_2.JPEG"])
    (message,) = check(training).wrong["1percent.txt"]
    assert "1 of 113 images (n01440764_2.JPEG)" in message
    data = (training / "1percent.txt").read_bytes()
    (training / "1percent.txt").write_bytes(data.replace(b"\n", b"\r\n"))
    (training / "10percent.txt").mkdir()
    wrong = check(training).wrong
    assert "CRLF" in wrong["1percent.txt"][0]
    assert "is a directory" in wrong["10percent.txt"][0]
