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
from tests.builds.check.conftest import rewrite, set_bytes, shards
from tests.shared import archives, forms, tfds_builder
from tests.shared.prepared import change_json, read_json


def _tree(folder: pathlib.Path) -> list[str]:
    return sorted(os.fspath(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (".", "."),
        ("..", "5.0.0/"),
        ("../..", "small/5.0.0"),
        ("..", "./5.0.0/../5.0.0"),
        ("/", None),
        ("../../../..", "link/"),
        ("/", "~/link"),
    ],
)
def test_any_path(dataset, check, monkeypatch, tmp_path, where, path):
    (tmp_path / "link").symlink_to(dataset)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(dataset / where)
    checked = check(path or dataset)
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


def test_index_is_saved_where_the_dataset_was_built(
    dataset, small_data, check, monkeypatch, tmp_path
):
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


_DAMAGES = {
    "missing": None,
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "not an object": lambda data: b"[1]",
    "binary": lambda data: b"\x80\xff",
    "unknown field": lambda data: b'{"unheard": "of"}',
}


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("damage", _DAMAGES)
def test_damaged_description(dataset, check, name, damage):
    path = dataset / name
    content = path.read_bytes()
    path.unlink()
    if change := _DAMAGES[damage]:
        path.write_bytes(change(content))
    (message,) = check(dataset).wrong[name]
    assert message


def test_other_damaged_descriptions(dataset, check):
    labels = dataset / "label.labels.txt"
    wnids = labels.read_text().split()
    metadata = dataset / "metadata.json"
    for path, data in (
        (metadata, metadata.read_bytes()[:20]),
        (labels, None),
        (labels, "\n".join(wnids[:500]).encode()),
        (labels, "\n".join(reversed(wnids)).encode()),
        (labels, b"\xff\xfe"),
    ):
        content = path.read_bytes()
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        assert set(check(dataset).wrong) == {path.name}, data
        path.write_bytes(content)


def test_other_dataset(dataset, check):
    change_json(dataset / "dataset_info.json", name="mnist")
    assert "mnist" in str(check(dataset).wrong["dataset_info.json"])
    change_json(dataset / "dataset_info.json", name="imagenet2012_subset")
    tfds.features.FeaturesDict({"image": tfds.features.Image()}).save_config(dataset)
    assert "image" in str(check(dataset).wrong["features.json"])


def test_shards_alone_are_an_incomplete_dataset(dataset, check):
    (dataset / "dataset_info.json").unlink()
    (dataset / "features.json").unlink()
    assert set(check(dataset).wrong) == {"dataset_info.json"}


@pytest.mark.parametrize(
    "name", ["dataset_info.json", "features.json", "metadata.json", "label.labels.txt"]
)
def test_unreadable_file(dataset, check, name):
    (dataset / name).unlink()
    (dataset / name).mkdir()
    (message,) = check(dataset).wrong[name]
    assert "cannot be read (Is a directory)" in message


@pytest.mark.parametrize("gone", ["deleted", "a directory", "a broken link"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_missing_shard_and_its_images(dataset, small_data, check, split, gone):
    shard = shards(dataset, split)[1]
    shard.unlink()
    if gone == "a directory":
        shard.mkdir()
    elif gone == "a broken link":
        shard.symlink_to("nowhere")
    wrong = check(dataset, "--subset_list", small_data.subset_list).wrong
    assert set(wrong) == {split}
    missing, images = wrong[split]
    assert missing.startswith(f"1 shards missing ({shard.name})")
    assert images.startswith(("1 images missing", "2 images missing"))


@pytest.mark.parametrize("length", [0, 1, 20, -1, -500])
def test_truncated_shard_and_its_images(dataset, small_data, check, length):
    shard = shards(dataset, "train")[0]
    shard.write_bytes(shard.read_bytes()[:length])
    wrong = check(dataset, "--subset_list", small_data.subset_list).wrong
    unreadable, images = wrong["train"]
    whole = int(length < 0)
    assert f"({shard.name} after {whole} record" in unreadable
    assert images.startswith(f"{2 - whole} images missing")


def test_shard_that_ends_between_two_records(dataset, check):
    shard = shards(dataset, "train")[0]
    data = shard.read_bytes()
    first = 12 + int.from_bytes(data[:8], "little") + 4
    shard.write_bytes(data[:first])
    unreadable, names = check(dataset).wrong["train"]
    assert f"{shard.name} after 1 record" in unreadable
    assert "5 names are not those of the list" in names


def test_every_shard_is_damaged_or_missing(dataset, check):
    for shard in shards(dataset, "train"):
        data = bytearray(shard.read_bytes())
        data[len(data) // 3] ^= 1
        shard.write_bytes(data)
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


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record", "parquet"])
def test_every_format(build, small_data, check, file_format):
    folder = pathlib.Path(build(file_format=file_format, num_shards=2).data_path)
    manual = ("--manual_dir", small_data.manual_dir)
    checked = check(folder, *manual)
    assert checked.status == 0
    assert "same bytes" in checked.findings["train"][0]["message"]
    shard = shards(folder, "validation")[1]
    shard.write_bytes(b"")
    unreadable, images = check(folder, *manual).wrong["validation"]
    assert f"({shard.name} after 0 records" in unreadable
    assert images.startswith(("2 images missing", "3 images missing"))


def test_several_formats_of_one_dataset(build, dataset, small_data, check, tmp_path):
    other = build(data_dir=tmp_path / "b", file_format="array_record", num_shards=3)
    for path in shards(pathlib.Path(other.data_path), "*"):
        shutil.copy(path, dataset)
    assert set(check(dataset).wrong) == {"files"}
    path = dataset / "dataset_info.json"
    change_json(path, alternativeFileFormats=["array_record"])
    checked = check(dataset, "--manual_dir", small_data.manual_dir)
    assert checked.status == 0
    assert "same bytes" in checked.findings["train (array_record)"][0]["message"]
    next(dataset.glob("*-train.array_record*")).write_bytes(b"")
    assert set(check(dataset).wrong) == {"train (array_record)"}


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


def test_duplicate_image_in_place_of_another(dataset, small_data, check):
    def duplicate(examples):
        examples[1] = examples[0]

    rewrite(shards(dataset, "train")[0], duplicate)
    given = ("--subset_list", small_data.subset_list)
    missing, twice = sorted(check(dataset, *given).wrong["train"])
    assert missing.startswith("1 images missing")
    assert twice.startswith("1 images more than once")


def test_damaged_records(dataset, check):
    first, second, _ = shards(dataset, "train")

    def relabel(examples):
        examples[0].features.feature["label"].int64_list.value[0] = 1000

    rewrite(first, relabel)
    rewrite(second, lambda found: set_bytes(found[0], "image", b"no image"))
    assert check(dataset).kinds == ["wrong labels", "damaged images"]
    wrong_label, damaged = check(dataset).wrong["train"]
    assert "not label 1000" in wrong_label
    assert damaged.startswith("1 damaged images (n")


@pytest.mark.parametrize("name", ["holiday.JPEG", "n99999999_1.JPEG", ""])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_name_that_no_image_has(dataset, small_data, check, split, name):
    shard = shards(dataset, split)[0]
    rewrite(shard, lambda found: set_bytes(found[0], "file_name", name.encode()))
    manual = ("--manual_dir", small_data.manual_dir)
    wrong = check(dataset, "--subset_list", small_data.subset_list, *manual).wrong
    assert set(wrong) == {split}
    missing, foreign = sorted(wrong[split])
    assert missing.startswith("1 images missing (")
    assert foreign.startswith(f"1 images that do not belong here ({name})")


def test_image_with_other_bytes_than_the_archive(dataset, small_data, check):
    wnid = next(iter(small_data.training))
    name, _ = small_data.training[wnid][0]
    small_data.training[wnid][0] = (name, archives.jpeg(4711))
    small_data.write()
    (message,) = check(dataset, "--manual_dir", small_data.manual_dir).wrong["train"]
    assert message.startswith("1 images with other bytes")
    assert name in message


@pytest.fixture
def other_form(small_data, tmp_path, request):
    """A directory with the images in a form that is not read in place."""
    folder = tmp_path / "other"
    folder.mkdir()
    if request.param == "parquet":
        forms.training_parquet("data")(small_data, folder)
        forms.validation_parquet("data")(small_data, folder)
    else:
        tfds_builder.build_imagenet(
            small_data.manual_dir, folder, request.param, num_shards=3
        )
    return folder


@pytest.mark.parametrize(
    "other_form", ["parquet", "tfrecord", "array_record"], indirect=True
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


@pytest.mark.parametrize("other_form", ["tfrecord"], indirect=True)
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


def test_archives_without_the_images_of_the_dataset(dataset, small_data, check):
    del small_data.training["n01443537"]
    small_data.validation.pop()
    small_data.write()
    wrong = check(dataset, "--manual_dir", small_data.manual_dir).wrong
    assert wrong["train"][0].startswith("2 images that are not in ILSVRC2012_img_train")
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
    folder = {
        "data_dir": data_dir,
        "dataset": dataset.parent.parent,
        "config": dataset.parent,
    }[level]
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


def test_path_that_is_not_a_directory(check, tmp_path):
    assert "does not exist" in str(check(tmp_path / "nowhere").wrong)
    (tmp_path / "file").touch()
    assert "is not a directory" in str(check(tmp_path / "file").wrong)


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
