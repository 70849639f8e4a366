"""`check DATASET`: any path to it, any damage to its files."""

import json
import os
import pathlib
import shutil

import pytest
import tensorflow_datasets as tfds
from etils import epath

from tests.shared.checks import Checked, run_check


@pytest.fixture(scope="module")
def prepared() -> dict[str, pathlib.Path]:
    """The same dataset, prepared once for all tests."""
    return {}


@pytest.fixture
def dataset(build, prepared, tmp_path, tmp_path_factory) -> pathlib.Path:
    """A dataset in three shards a split, in a `data_dir` of its own."""
    data_dir = tmp_path / "data"
    if not prepared:
        prepared["data_dir"] = tmp_path_factory.mktemp("prepared") / "data"
        build(num_shards=3, data_dir=prepared["data_dir"])
    # An index is of an archive at its path, and this test's is another.
    without = shutil.ignore_patterns("*.npz")
    shutil.copytree(prepared["data_dir"], data_dir, ignore=without)
    return data_dir / "imagenet2012_subset" / "small" / "5.0.0"


@pytest.fixture
def check(capsys):
    """Checks a dataset that is to have five validation images."""

    def check_small(*arguments: object) -> Checked:
        return run_check(capsys, "--validation_images", 5, *arguments)

    return check_small


def _tree(folder: pathlib.Path) -> list[str]:
    return sorted(os.fspath(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (".", "."),
        (".", "./"),
        ("..", "5.0.0"),
        ("..", "5.0.0/"),
        ("../..", "small/5.0.0"),
        ("..", "./5.0.0/../5.0.0"),
        ("/", None),
    ],
)
def test_any_path(dataset, check, monkeypatch, where, path):
    monkeypatch.chdir(dataset / where)
    checked = check(path or dataset)
    assert checked.status == 0
    assert checked.findings["train"][0]["facts"]["records"] == 6
    assert checked.findings["validation"][0]["facts"]["records"] == 5


@pytest.mark.parametrize("trailing", ["", "/"])
def test_a_link_to_a_dataset(dataset, check, tmp_path, trailing):
    (tmp_path / "link").symlink_to(dataset)
    before = _tree(tmp_path)
    assert check(f"{tmp_path / 'link'}{trailing}").status == 0
    assert _tree(tmp_path) == before


def test_a_home_directory_that_the_shell_did_not_expand(dataset, check, monkeypatch):
    monkeypatch.setenv("HOME", str(dataset.parent))
    assert check("~/5.0.0").status == 0


def test_a_copy_anywhere_is_checked_and_nothing_is_made(
    dataset, small_data, check, tmp_path
):
    copies = tmp_path / "elsewhere"
    copy = copies / "imagenet2012_subset" / "small" / "5.0.0"
    shutil.copytree(dataset, copy)
    shutil.copytree(dataset, copies / "flat")
    before = _tree(tmp_path)
    for folder in (copy, copies / "flat"):
        assert check(folder, "--manual_dir", small_data.manual_dir).status == 0
    assert _tree(tmp_path) == before


def test_an_index_is_kept_where_the_dataset_was_built(
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


def test_a_kept_index_goes_where_the_user_says(dataset, small_data, check, tmp_path):
    manual_dir, data_dir = small_data.manual_dir, tmp_path / "other"
    check(dataset, "--manual_dir", manual_dir, "--data_dir", data_dir)
    kept = [path.parent for path in data_dir.rglob("*.index.npz")]
    assert kept == [data_dir / "downloads" / "imagenet2012_subset"] * 2


def test_nothing_can_be_written(dataset, small_data, check, monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("mkdir", "replace", "rename", "unlink", "write_text", "write_bytes"):
        monkeypatch.setattr(type(epath.Path(dataset)), name, refuse)
        monkeypatch.setattr(pathlib.Path, name, refuse)
    assert check(dataset, "--manual_dir", small_data.manual_dir).status == 0


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "no object", "binary"])
def test_a_damaged_description_is_a_finding(dataset, check, name, damage):
    path = dataset / name
    content = path.read_bytes()
    path.unlink()
    damages = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "no object": b"[1]",
        "binary": b"\x80\xff",
    }
    if damage in damages:
        path.write_bytes(damages[damage])
    checked = check(dataset)
    assert checked.status == 1
    (message,) = checked.wrong[name]
    assert message.startswith("does not exist" if damage == "missing" else "is ")
    assert message.endswith("Build the dataset again")


def test_both_descriptions_lack_but_shards_tell_what_it_was(dataset, check):
    (dataset / "dataset_info.json").unlink()
    (dataset / "features.json").unlink()
    checked = check(dataset)
    assert checked.status == 1
    assert set(checked.wrong) == {"dataset_info.json", "features.json"}


def test_metadata_that_is_cut_is_a_finding(dataset, check):
    path = dataset / "metadata.json"
    path.write_text(path.read_text()[:20])
    assert set(check(dataset).wrong) == {"metadata.json"}


@pytest.mark.parametrize("json_name", ["dataset_info.json", "features.json"])
def test_what_tfds_cannot_open_is_a_finding(dataset, check, json_name):
    (dataset / json_name).write_text('{"unheard": "of"}')
    checked = check(dataset)
    assert checked.status == 1
    ((message,),) = checked.wrong.values()
    assert "TFDS cannot open the dataset" in message


def test_other_features_are_a_finding(dataset, check):
    tfds.features.FeaturesDict({"image": tfds.features.Image()}).save_config(dataset)
    assert "examples have image" in str(check(dataset).wrong["features.json"])


def test_another_dataset_is_a_finding(dataset, check):
    path = dataset / "dataset_info.json"
    text = path.read_text()
    path.write_text(text.replace('"name": "imagenet2012_subset"', '"name": "mnist"'))
    assert "mnist" in str(check(dataset).wrong["dataset_info.json"])


@pytest.mark.parametrize("damage", ["missing", "cut", "sorted another way"])
def test_other_label_names_are_a_finding(dataset, check, damage):
    path = dataset / "label.labels.txt"
    lines = path.read_text().split()
    path.unlink()
    if damage == "cut":
        path.write_text("\n".join(lines[:500]))
    elif damage != "missing":
        path.write_text("\n".join(reversed(lines)))
    wrong = check(dataset).wrong
    assert set(wrong) == {"label.labels.txt"}


@pytest.mark.parametrize(
    "name", ["dataset_info.json", "features.json", "metadata.json", "label.labels.txt"]
)
def test_a_file_that_cannot_be_read_is_a_finding(dataset, check, name):
    (dataset / name).unlink()
    (dataset / name).mkdir()
    (message,) = check(dataset).wrong[name]
    assert message == "cannot be read (Is a directory). Build the dataset again"


def test_labels_that_are_no_text_are_a_finding(dataset, check):
    (dataset / "label.labels.txt").write_bytes(b"\xff\xfe")
    (message,) = check(dataset).wrong["label.labels.txt"]
    assert message == "is damaged (it is no text). Build the dataset again"


def _shards(dataset: pathlib.Path, split: str) -> list[pathlib.Path]:
    return sorted(dataset.glob(f"imagenet2012_subset-{split}.*"))


@pytest.mark.parametrize("gone", ["deleted", "a folder", "a dangling link"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_missing_shard_is_named_with_its_images(
    dataset, small_data, check, split, gone
):
    shard = _shards(dataset, split)[1]
    shard.unlink()
    if gone == "a folder":
        shard.mkdir()
    elif gone == "a dangling link":
        shard.symlink_to("nowhere")
    checked = check(dataset, "--subset_list", small_data.subset_list)
    assert checked.status == 1
    wrong = checked.wrong
    assert set(wrong) == {split}
    shards, images = wrong[split]
    assert shards.startswith(f"1 shards missing ({shard.name})")
    assert images.startswith(("1 images missing", "2 images missing"))


@pytest.mark.parametrize("length", [0, 1, 20, -1, -500])
def test_a_truncated_shard_is_named_with_its_images(dataset, small_data, check, length):
    shard = _shards(dataset, "train")[0]
    shard.write_bytes(shard.read_bytes()[:length])
    wrong = check(dataset, "--subset_list", small_data.subset_list).wrong
    shards, images = wrong["train"]
    assert shards.startswith(f"1 shards that cannot be read ({shard.name} after ")
    whole = length < 0
    assert f"after {int(whole)} records" in shards
    assert images.startswith(f"{2 - whole} images missing")


def test_a_shard_that_ends_between_two_records_is_named(dataset, check):
    shard = _shards(dataset, "train")[0]
    data = shard.read_bytes()
    first = 12 + int.from_bytes(data[:8], "little") + 4
    shard.write_bytes(data[:first])
    shards, names = check(dataset).wrong["train"]
    assert f"{shard.name} after 1 records" in shards
    assert "5 names are not those of the list" in names


def test_damage_in_one_shard_leaves_the_others_checked(dataset, check):
    for shard in _shards(dataset, "train"):
        data = bytearray(shard.read_bytes())
        data[len(data) // 3] ^= 1
        shard.write_bytes(data)
    assert "3 shards that cannot be read" in str(check(dataset).wrong["train"])


def test_extra_shards_are_named(dataset, check):
    shard = _shards(dataset, "train")[0]
    extra = shard.with_name(f"{shard.name.partition('-0')[0]}-00000-of-00001")
    shutil.copy(shard, extra)
    (message,) = check(dataset).wrong["files"]
    assert message.startswith(
        f"1 files that are no shards of this dataset ({extra.name}"
    )


def test_files_of_the_users_beside_the_shards_do_no_harm(dataset, check):
    (dataset / "README.md").write_text("mine")
    assert check(dataset).status == 0


def test_a_missing_split_is_a_finding(dataset, check):
    path = dataset / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"] = [s for s in info["splits"] if s["name"] == "train"]
    path.write_text(json.dumps(info))
    wrong = check(dataset).wrong
    assert "the dataset has no such split" in wrong["validation"][0]
    # Its shards are none of the dataset any more.
    assert set(wrong) == {"validation", "files"}


def test_a_split_too_many_is_a_finding(dataset, check):
    path = dataset / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"].append({**info["splits"][0], "name": "test"})
    path.write_text(json.dumps(info))
    assert set(check(dataset).wrong) == {"test"}


@pytest.mark.parametrize("file_format", ["array_record", "parquet"])
def test_shards_of_other_formats_are_read_one_by_one(
    build, small_data, check, file_format
):
    built = build(file_format=file_format, num_shards=2)
    folder = pathlib.Path(built.data_path)
    manual = ("--manual_dir", small_data.manual_dir)
    assert check(folder, *manual).status == 0
    shard = _shards(folder, "validation")[1]
    shard.write_bytes(b"")
    shards, images = check(folder, *manual).wrong["validation"]
    assert f"1 shards that cannot be read ({shard.name} after 0 records" in shards
    assert images.startswith(("2 images missing", "3 images missing"))


def test_all_formats_of_a_dataset_are_checked(build, dataset, check, tmp_path):
    other = build(data_dir=tmp_path / "b", file_format="array_record", num_shards=3)
    for path in _shards(pathlib.Path(other.data_path), "*"):
        shutil.copy(path, dataset)
    assert set(check(dataset).wrong) == {"files"}
    path = dataset / "dataset_info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "alternativeFileFormats": ["array_record"]}))
    checked = check(dataset)
    assert checked.status == 0
    assert "train (array_record)" in checked.findings
    next(dataset.glob("*-train.array_record*")).write_bytes(b"")
    assert set(check(dataset).wrong) == {"train (array_record)"}


def test_a_folder_that_is_not_there(check, tmp_path):
    checked = check(tmp_path / "nowhere")
    assert checked.status == 1
    assert "does not exist" in str(checked.wrong)


def test_a_file_in_place_of_a_folder(check, tmp_path):
    (tmp_path / "file").touch()
    assert "is no directory" in str(check(tmp_path / "file").wrong)
