"""`check DATASET`: any path to a dataset, and any damage to its files and records."""

import os
import pathlib
import shutil
import tempfile

import pytest
import tensorflow_datasets as tfds
from etils import epath

from imagenet2012_subset.__main__ import main
from imagenet2012_subset.check import images
from imagenet2012_subset.subset.subset_list import PUBLISHED_FINGERPRINTS, fingerprint
from tests.builds import file_faults
from tests.builds.check.conftest import rewrite, set_bytes, shards
from tests.shared import archives, forms, tfds_builder
from tests.shared.prepared import change_json, read_json


def _tree(folder: pathlib.Path) -> list[str]:
    return sorted(os.fspath(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("where", "path"),
    [(".", "."), ("../..", "small/5.0.0"), ("..", "5.0.0/../5.0.0/"), ("/", "~/link")],
)
def test_any_path(dataset, check, monkeypatch, tmp_path, where, path):
    (tmp_path / "link").symlink_to(dataset)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(dataset / where)
    checked = check(path)
    assert checked.status == 0
    assert checked.findings["train"][0]["facts"]["records"] == 6
    assert checked.findings["validation"][0]["facts"]["records"] == 5


def test_copy_is_checked_and_nothing_is_written(dataset, small_data, check, tmp_path):
    copies = tmp_path / "elsewhere"
    copy = copies / "imagenet2012_subset" / "small" / "5.0.0"
    shutil.copytree(dataset, copy)
    shutil.copytree(dataset, copies / "flat")
    before = _tree(tmp_path)
    for folder in (copy, copies / "flat"):
        assert check(folder, "--manual_dir", small_data.manual_dir).status == 0
    assert _tree(tmp_path) == before


def test_where_the_index_is_saved(dataset, small_data, check, monkeypatch, tmp_path):
    before = set(_tree(tmp_path))
    monkeypatch.chdir(dataset)
    assert check(".", "--manual_dir", small_data.manual_dir).status == 0
    new = sorted(set(_tree(tmp_path)) - before)
    assert [name.partition(".tar.")[0] for name in new] == [
        "data/downloads/imagenet2012_subset/ILSVRC2012_img_train",
        "data/downloads/imagenet2012_subset/ILSVRC2012_img_val",
    ]
    other = tmp_path / "other"
    check(dataset, "--manual_dir", small_data.manual_dir, "--data_dir", other)
    saved = [path.parent for path in other.rglob("*.index.npz")]
    assert saved == [other / "downloads" / "imagenet2012_subset"] * 2


def test_read_only_file_system(dataset, small_data, check, monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("mkdir", "replace", "rename", "unlink", "write_text", "write_bytes"):
        monkeypatch.setattr(type(epath.Path(dataset)), name, refuse)
        monkeypatch.setattr(pathlib.Path, name, refuse)
    assert check(dataset, "--manual_dir", small_data.manual_dir).status == 0


def _replaced_by(data):
    return lambda path: path.write_bytes(data)


def _reversed(path):
    path.write_bytes(b"\n".join(path.read_bytes().split()[::-1]))


_DESCRIPTIONS = ["dataset_info.json", "features.json"]
_TEXTS = [*_DESCRIPTIONS, "label.labels.txt"]
_ALL = [*_TEXTS, "metadata.json"]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, file_faults.deleted) for name in _TEXTS),
        *((name, file_faults.cut_off) for name in _ALL),
        *((name, file_faults.directory) for name in _ALL),
        *((name, _replaced_by(b"\x80\xff")) for name in _TEXTS),
        *((name, _replaced_by(b"[1]")) for name in _DESCRIPTIONS),
        *((name, _replaced_by(b'{"unheard": "of"}')) for name in _DESCRIPTIONS),
        ("label.labels.txt", _reversed),
    ],
)
def test_damaged_description(dataset, check, name, damage):
    damage(dataset / name)
    wrong = check(dataset).wrong
    assert set(wrong) == {name}
    if damage is file_faults.directory:
        assert "cannot be read (Is a directory)" in wrong[name][0]


def test_another_dataset(dataset, check):
    tfds.features.FeaturesDict({"image": tfds.features.Image()}).save_config(dataset)
    assert "image" in str(check(dataset).wrong["features.json"])
    change_json(dataset / "dataset_info.json", name="mnist")
    assert "mnist" in str(check(dataset).wrong["dataset_info.json"])


@pytest.mark.parametrize(
    "fault", [file_faults.deleted, file_faults.directory, file_faults.broken_link]
)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_missing_shard_and_its_images(dataset, small_data, check, split, fault):
    shard = shards(dataset, split)[1]
    fault(shard)
    wrong = check(dataset, "--subset_list", small_data.subset_list).wrong
    assert set(wrong) == {split}
    missing, images = wrong[split]
    assert missing.startswith(f"1 shards missing ({shard.name})")
    assert images.startswith(("1 images missing", "2 images missing"))


@pytest.mark.parametrize("length", [0, 1, 20, -1, -500, "first record"])
def test_truncated_shard_and_its_images(dataset, small_data, check, length):
    shard = shards(dataset, "train")[0]
    data = shard.read_bytes()
    whole = 0 if length in (0, 1, 20) else 1
    if length == "first record":
        length = 12 + int.from_bytes(data[:8], "little") + 4
    shard.write_bytes(data[:length])
    wrong = check(dataset, "--subset_list", small_data.subset_list).wrong
    unreadable, images = wrong["train"]
    assert f"({shard.name} after {whole} record" in unreadable
    assert images.startswith(f"{2 - whole} images missing")
    # Without the list, only the number of names is known.
    assert f"{4 + whole} names are not those of the list" in str(check(dataset).wrong)


def test_every_shard_is_damaged_or_missing(dataset, check):
    for shard in shards(dataset, "train"):
        shard.write_bytes(shard.read_bytes().replace(b"JPEG", b"JPEg"))
    assert "3 shards that cannot be read" in str(check(dataset).wrong["train"])
    for shard in shards(dataset, "*"):
        shard.unlink()
    assert check(dataset).wrong["train"][0].startswith("3 shards missing")


def test_files_that_do_not_belong_to_the_dataset(dataset, check):
    (dataset / "README.md").write_text("mine")
    assert check(dataset).status == 0
    shard = shards(dataset, "train")[0]
    extra = shard.with_name(f"{shard.name.partition('-0')[0]}-00000-of-00001")
    shutil.copy(shard, extra)
    (message,) = check(dataset).wrong["files"]
    assert message.startswith("1 files")
    assert extra.name in message


def test_missing_and_unknown_splits(dataset, check):
    path = dataset / "dataset_info.json"
    train, validation = read_json(path)["splits"]
    change_json(path, splits=[train, validation, train | {"name": "test"}])
    assert set(check(dataset).wrong) == {"test"}
    change_json(path, splits=[train])
    # The shards of the missing split do not belong to the dataset any more.
    assert set(check(dataset).wrong) == {"validation", "files"}


def test_several_formats_of_one_dataset(build, small_data, check):
    for file_format in ("tfrecord", "array_record", "parquet"):
        builder = build(file_format=file_format, num_shards=3)
    dataset = pathlib.Path(builder.data_path)
    checked = check(dataset, "--manual_dir", small_data.manual_dir)
    assert checked.status == 0
    for subject in ("train", "train (array_record)", "train (parquet)"):
        assert "same bytes" in checked.findings[subject][0]["message"]
    for file_format in ("array_record", "parquet"):
        shard = sorted(dataset.glob(f"*-validation.{file_format}*"))[1]
        shard.write_bytes(b"")
        unreadable, images = check(dataset).wrong[f"validation ({file_format})"]
        assert f"({shard.name} after 0 records" in unreadable
        assert images.startswith(("1 images missing", "2 images missing"))
    change_json(dataset / "dataset_info.json", alternativeFileFormats=[])
    assert set(check(dataset).wrong) == {"files"}


def test_mislabelled_dataset_of_tfds(small_data, tmp_path, check, monkeypatch):
    sha256 = fingerprint(small_data.listed)
    monkeypatch.setitem(PUBLISHED_FINGERPRINTS, "1pct", sha256)
    # Image 2 is missing, so TFDS gives all later images their neighbour's label.
    small_data.validation = [
        (name, data) for name, data in small_data.validation if "00000002" not in name
    ]
    small_data.write()
    built = tfds_builder.build(
        "1pct", small_data.manual_dir, small_data.subset_list, tmp_path / "theirs"
    )
    wrong = check(built.data_path, "--validation_images", 5).wrong["validation"]
    labels, missing = sorted(wrong, key=lambda message: "missing" in message)
    assert labels.startswith("3 wrong labels")
    assert "ILSVRC2012_val_00000002.JPEG" in missing


def test_damaged_records(dataset, small_data, check):
    def duplicate(examples):
        examples[1] = examples[0]

    def relabel(examples):
        examples[0].features.feature["label"].int64_list.value[0] = 1000

    first, second, third = shards(dataset, "train")
    rewrite(first, relabel)
    rewrite(second, lambda found: set_bytes(found[0], "image", b"no image"))
    assert check(dataset).kinds == ["wrong labels", "damaged images"]
    wrong_label, damaged = check(dataset).wrong["train"]
    assert "not label 1000" in wrong_label
    assert damaged.startswith("1 damaged images (n")
    rewrite(third, duplicate)
    given = ("--subset_list", small_data.subset_list)
    assert check(dataset, *given).kinds[2:] == [
        "images more than once",
        "images missing",
    ]


@pytest.mark.parametrize(
    ("split", "name"), [("train", "n99999999_1.JPEG"), ("validation", "")]
)
def test_name_that_no_image_has(dataset, small_data, check, split, name):
    shard = shards(dataset, split)[0]
    rewrite(shard, lambda found: set_bytes(found[0], "file_name", name.encode()))
    manual = ("--manual_dir", small_data.manual_dir)
    wrong = check(dataset, "--subset_list", small_data.subset_list, *manual).wrong
    assert set(wrong) == {split}
    missing, foreign = sorted(wrong[split])
    assert missing.startswith("1 images missing (")
    assert foreign.startswith(f"1 images that do not belong here ({name})")


@pytest.fixture
def other_form(small_data, tmp_path, request):
    """A directory with the images in another form than tars."""
    folder = tmp_path / "other"
    folder.mkdir()
    training, validation = request.param
    forms.TRAINING_FORMS[training](small_data, folder)
    forms.VALIDATION_FORMS[validation](small_data, folder)
    return folder


_TFDS = ("TFRecord files of TFDS", "TFRecord files of TFDS")


@pytest.mark.parametrize(
    "other_form",
    [
        ("train/<wnid>/", "val/<wnid>/"),
        ("synset tars", "val/"),
        ("wnid appended, sorted", "wnid appended"),
        ("parquet files", "parquet files"),
        ("ArrayRecord files of TFDS", "ArrayRecord files of TFDS"),
        _TFDS,
    ],
    ids=lambda training_and_validation: training_and_validation[0],
    indirect=True,
)
def test_images_of_another_form(dataset, check, other_form, monkeypatch, tmp_path):
    monkeypatch.setattr(images, "_STAGED", 4)
    (tmp_path / "staging").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "staging"))
    checked = check(dataset, "--manual_dir", other_form)
    assert checked.status == 0, checked.wrong
    assert "same bytes" in checked.findings["train"][0]["message"]
    assert not list((tmp_path / "staging").iterdir())
    decoded = check(other_form, "--decode").findings
    counts = [
        finding["facts"]["decoded"]
        for found in decoded.values()
        for finding in found
        if "decoded" in finding["facts"]
    ]
    assert counts == [12, 5]
    shard = shards(dataset, "validation")[0]
    rewrite(shard, lambda found: set_bytes(found[0], "image", archives.jpeg(4711)))
    (message,) = check(dataset, "--manual_dir", other_form).wrong["validation"]
    assert message.startswith("1 images with other bytes")


@pytest.mark.parametrize("other_form", [_TFDS], indirect=True)
def test_version_of_imagenet2012_is_a_manual_dir(check, other_form):
    checked = check(other_form / "imagenet2012" / "5.1.0")
    assert "12 of 1,281,167 images" in str(checked.wrong)


def test_damaged_archive_is_not_the_fault_of_the_dataset(dataset, small_data, check):
    name, data = small_data.training["n01440764"][0]
    path = small_data.manual_dir / "ILSVRC2012_img_train.tar"
    path.write_bytes(path.read_bytes().replace(data, bytes(len(data))))
    wrong = check(dataset, "--manual_dir", small_data.manual_dir).wrong
    assert set(wrong) == {"ILSVRC2012_img_train.tar"}
    assert name in wrong["ILSVRC2012_img_train.tar"][0]


def test_archives_with_other_images(dataset, small_data, check):
    (name, _), *images = small_data.training["n01440764"]
    small_data.training["n01440764"] = [(name, archives.jpeg(4711)), *images]
    del small_data.training["n01443537"]
    small_data.validation.pop()
    small_data.write()
    wrong = check(dataset, "--manual_dir", small_data.manual_dir).wrong
    different, missing = sorted(wrong["train"])
    assert different.startswith("1 images with other bytes than ILSVRC2012_img_train")
    assert name in different
    assert missing.startswith("2 images that are not in ILSVRC2012_img_train")
    assert wrong["validation"][0].startswith("1 images that are not in ILSVRC2012_img_")


def test_missing_archives(dataset, check, tmp_path):
    (tmp_path / "empty").mkdir()
    wrong = check(dataset, "--manual_dir", tmp_path / "empty").wrong
    assert set(wrong) == {"ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"}


@pytest.mark.parametrize("level", ["data_dir", "dataset", "config"])
def test_all_datasets_in_a_directory(dataset, build, tmp_path, check, level):
    data_dir = tmp_path / "data"
    (data_dir / "mnist" / "3.0.1").mkdir(parents=True)
    (data_dir / "mnist" / "3.0.1" / "dataset_info.json").write_text("{}")
    second = dataset.with_name("5.0.1")
    shutil.copytree(dataset, second)
    change_json(second / "dataset_info.json", version="5.0.1")
    shards(second, "train")[0].unlink()
    levels = {"data_dir": data_dir, "dataset": dataset.parents[1]}
    folder = levels.get(level, dataset.parent)
    first = dataset.relative_to(folder)
    checked = check(folder)
    assert set(checked.wrong) == {f"{first.with_name('5.0.1')} train"}
    assert set(checked.findings) == {
        f"{first.with_name(version)} {split}"
        for version in ("5.0.0", "5.0.1")
        for split in ("train", "validation")
    }


def test_data_dir_that_is_also_the_manual_dir(dataset, small_data, check, tmp_path):
    for path in small_data.manual_dir.iterdir():
        shutil.copy(path, tmp_path / "data")
    checked = check(tmp_path / "data")
    assert checked.findings["imagenet2012_subset/small/5.0.0 train"][0]["ok"]
    assert set(checked.wrong) == {
        "manual_dir ILSVRC2012_img_train.tar",
        "manual_dir ILSVRC2012_img_val.tar",
    }


def test_dataset_cut_on_purpose(build, small_data, check, capsys):
    folder = pathlib.Path(build(max_examples_per_split=2).data_path)
    given = ("--subset_list", str(small_data.subset_list))
    for arguments in ((), given):
        checked = check(folder, *arguments)
        assert checked.status == 0
        assert "max_examples_per_split=2" in checked.remarks[0]
    assert main(["check", str(folder)]) == 0
    verdict = capsys.readouterr().out.splitlines()[0]
    assert "cut on purpose" in verdict
    assert "all well" not in verdict
