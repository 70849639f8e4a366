"""What a folder contains of a split, and what an error about it advises."""

import gzip
import os

import pytest
from etils import epath

from imagenet2012_subset import ArchiveError, ManualDirError
from imagenet2012_subset.imagenet import names
from imagenet2012_subset.imagenet.names import TRAINING, VALIDATION
from imagenet2012_subset.sources.discovery import (
    choose_source,
    find_source,
    find_sources,
)
from imagenet2012_subset.storage.paths import supported
from imagenet2012_subset.subset.select import select_training
from tests.shared import archives
from tests.units.test_file_types import LFS_POINTER, NPZ, PARQUET, S3_ERROR, zipped

TAR = TRAINING.file_name
IMAGE = "n01440764_1.JPEG"
VALIDATION_IMAGE = archives.validation_name(1)
TRAINING_TAR = archives.training_tar({"n01440764": [(IMAGE, b"1")]})
VALIDATION_TAR = archives.tar_bytes([(VALIDATION_IMAGE, b"1")])
TASK_3_TAR = archives.training_tar({wnid: [] for wnid in names.wnids()[151:271]})
TEST_TAR = archives.tar_bytes([("test/ILSVRC2012_test_00000001.JPEG", b"1")])
APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(4000)


@pytest.fixture
def manual_dir(tmp_path):
    return epath.Path(tmp_path)


def _error(manual_dir: epath.Path, original=TRAINING) -> ManualDirError:
    with pytest.raises(ManualDirError) as caught:
        choose_source(manual_dir, original)
    assert caught.value.path == str(manual_dir / original.file_name)
    return caught.value


def _write(path: epath.Path, content: bytes = b"1") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# What may be in an archive's place, what it is called, and what to do about it.
NOT_TARS = {
    "empty": (b"", "is empty", "Register"),
    "web page": (b"\n<!DOCTYPE html><html>", "is a web page of 22 bytes", "log-in"),
    "S3 error": (S3_ERROR, f"is a web page of {len(S3_ERROR)} bytes", "log-in"),
    "JSON": (b'{"error": 401}', "is a JSON text of 14 bytes", "log-in"),
    "text": (b"404: Not Found\n", "('404: Not Found')", "log-in"),
    "Git LFS": (LFS_POINTER, "is a Git LFS pointer, not", "Run `git lfs pull` in "),
    "AppleDouble": (APPLE_DOUBLE, "is an AppleDouble file, which macOS", "Register"),
    "zip": (zipped("a.JPEG"), "is a zip archive, not a tar", "Extract it: unzip -q "),
    "Kaggle": (
        zipped("ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_1.JPEG"),
        "is Kaggle's zip archive, not a tar",
        "Extract it: unzip -q ",
    ),
    "npz": (NPZ, "is an npz file of NumPy arrays, not a tar", "Register"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(900), "is an HDF5 file", "Register"),
    "Parquet": (PARQUET, "is a Parquet file, not a tar", "data/train-*.parquet"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(9), "is a PNG image", "Register"),
    "zstd": (b"(\xb5/\xfd" + bytes(9), "is a zstd-compressed file", "zstd -dc "),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(9), "is an lz4-compressed file", "lz4 -dc "),
    "gzip": (gzip.compress(TRAINING_TAR), "is a gzip-compressed file", "gzip -dc "),
    "cut gzip": (gzip.compress(TRAINING_TAR)[:40], "is a gzip-compr", "gzip -dc "),
    "gzip of another tar": (
        gzip.compress(archives.tar_bytes([("devkit/readme.txt", b"")])),
        "it starts with devkit/readme.txt, which is not in the archive",
        "Register",
    ),
}
HARMFUL = ("wget -c", "rename", "Rename", "resume")


@pytest.mark.parametrize("what", NOT_TARS)
@pytest.mark.parametrize(
    "name", [TAR, f"{TAR}.1", f"._{TAR}", TAR.replace(".tar", "_t3.tar"), TAR.lower()]
)
def test_a_file_that_is_not_a_tar(manual_dir, what, name):
    content, problem, remedy = NOT_TARS[what]
    _write(manual_dir / name, content)
    error = _error(manual_dir)
    if name != TAR:
        assert error.problem.startswith(f"does not exist, but {name!r} is ")
    assert problem in error.problem
    assert remedy in error.remedy
    is_replaced = what not in ("empty", "gzip of another tar") and "Register" in (
        error.remedy
    )
    assert ("Move it away. Register" in error.remedy) == (name == TAR and is_replaced)
    assert not [advice for advice in HARMFUL if advice in str(error)]


@pytest.mark.parametrize(
    "name", [TAR.lower(), f"{TAR}.1", f"Copy of {TAR}", TAR[:-1], "x.tar", "it's"]
)
def test_the_archive_under_another_name(manual_dir, name):
    _write(manual_dir / "notes.txt", b"notes")
    _write(manual_dir / name, TRAINING_TAR)
    error = _error(manual_dir)
    assert error.problem == f"does not exist, but {name!r} is a tar of training images"
    assert os.system(error.remedy.removeprefix("Rename it: ")) == 0
    assert len(find_source(manual_dir, TRAINING).listing().names) == 1


@pytest.mark.parametrize(
    "name", ["ILSVRC2012_img_train_t3.tar", "dogs.tar", TAR + ".1"]
)
def test_the_archive_of_task_3(manual_dir, name):
    _write(manual_dir / name, TASK_3_TAR)
    error = _error(manual_dir)
    assert f"{name!r} is the archive of task 3 (dogs)" in error.problem
    assert "tasks 1 and 2" in error.remedy
    assert "rename" not in str(error).lower()


def test_the_archive_of_the_test_images(manual_dir):
    _write(manual_dir / "ILSVRC2012_img_test.tar", TEST_TAR)
    problem = _error(manual_dir, VALIDATION).problem
    assert "is an archive of the test images, which have no labels" in problem
    assert "test images" not in _error(manual_dir, TRAINING).problem


@pytest.mark.parametrize("end", [".part", ".crdownload", ".PARTIAL", ".aria2", ".tmp"])
@pytest.mark.parametrize("content", [b"", bytes(9000), TRAINING_TAR[:700]])
def test_an_unfinished_download(manual_dir, end, content):
    _write(manual_dir / f"{TAR}{end}", content)
    error = _error(manual_dir)
    assert error.problem == (
        f"does not exist, but {TAR + end!r} is an unfinished download "
        f"({len(content):,} of 147,897,477,120 bytes)"
    )
    assert error.remedy == "Let the download finish"


def test_everything_that_is_near_is_named(manual_dir):
    _write(manual_dir / f"{TAR}.part", TRAINING_TAR[:700])
    _write(manual_dir / "x.tar", TRAINING_TAR)
    _write(manual_dir / "imagenet-challenge.zip", NOT_TARS["Kaggle"][0])
    error = _error(manual_dir)
    parts = ["unfinished", "'x.tar' is a tar of training", "Kaggle's zip", " and "]
    assert not [part for part in parts if part not in error.problem]
    parts = ["Let the download finish", ". Or: Rename it: mv ", ". Or: Extract it"]
    assert not [part for part in parts if part not in error.remedy]


@pytest.mark.parametrize(
    ("present", "shown"),
    [
        ([], "is empty"),
        ([VALIDATION.file_name], f"contains {VALIDATION.file_name}"),
        (["ILSVRC2012_img_train.md5"], "contains ILSVRC2012_img_train.md5"),
        (["notes.txt"], "contains notes.txt"),
        ("edcba", "contains a, b, c, d, e"),
        ("fedcba", "contains a, b, c, d, e, ..."),
    ],
)
def test_files_that_are_not_the_archive_are_named(manual_dir, present, shown):
    for name in present:
        _write(manual_dir / name, VALIDATION_TAR if "tar" in name else b"x 18.JPEG 0\n")
    error = _error(manual_dir)
    assert error.problem == f"does not exist (the directory {shown})"
    assert error.remedy.startswith(TRAINING.how_to_get)


@pytest.mark.parametrize("folder", ["ILSVRC2012", "ImageNet", "imagenet", "data"])
@pytest.mark.parametrize(
    ("original", "content"), [(TRAINING, TRAINING_TAR), (VALIDATION, VALIDATION_TAR)]
)
def test_an_archive_one_folder_down(manual_dir, folder, original, content):
    path = manual_dir / folder / original.file_name
    _write(path, content)
    choice = choose_source(manual_dir, original)
    assert choice.source.path == path
    assert len(choice.source.listing().names) == 1
    # One at the top comes first, and the other one is named.
    _write(manual_dir / original.file_name, content)
    choice = choose_source(manual_dir, original)
    assert choice.source.path == manual_dir / original.file_name
    assert choice.passed_over == (f"archive {path}",)


@pytest.mark.parametrize(
    ("original", "folder", "file"),
    [
        (TRAINING, "train/train", f"n01440764/{IMAGE}"),
        (TRAINING, "train/train", "n01440764.tar"),
        (TRAINING, "ImageNet/train/train", f"n01440764/{IMAGE}"),
        (TRAINING, "ILSVRC2012_img_train/ILSVRC2012_img_train", f"n01440764/{IMAGE}"),
        (TRAINING, "ILSVRC2012_img_train/train", f"n01440764/{IMAGE}"),
        (VALIDATION, "val/val", VALIDATION_IMAGE),
        (VALIDATION, "ILSVRC2012_img_val/ILSVRC2012_img_val", VALIDATION_IMAGE),
        (VALIDATION, "data/val/val", VALIDATION_IMAGE),
    ],
)
def test_a_doubled_folder(manual_dir, original, folder, file):
    tar = archives.tar_bytes([(IMAGE, b"1")])
    _write(manual_dir / folder / file, tar if file.endswith(".tar") else b"1")
    source = find_source(manual_dir, original)
    assert source.path == manual_dir / folder
    assert len(source.listing().names) == 1


@pytest.mark.parametrize("hidden", [".Trash-1000", "@eaDir", "__MACOSX"])
def test_hidden_folders_are_ignored_in_a_tree(manual_dir, hidden):
    _write(manual_dir / "val" / VALIDATION_IMAGE)
    for folder in ("val", "val/n01440764"):
        _write(manual_dir / folder / hidden / VALIDATION_IMAGE, b"another")
    assert len(find_source(manual_dir, VALIDATION).look_up([VALIDATION_IMAGE])) == 1


def test_manual_dir_is_the_training_folder(manual_dir):
    _write(manual_dir / "train" / "n01440764" / IMAGE)
    _write(manual_dir / "val" / VALIDATION_IMAGE)
    assert find_source(manual_dir / "train", TRAINING).path == manual_dir / "train"
    error = _error(manual_dir / "train", VALIDATION)
    assert f"the directory above, {manual_dir}, has images in" in error.problem
    assert error.remedy == f"Pass {manual_dir} as manual_dir"


@pytest.mark.parametrize(
    ("folder", "remedy"),
    [
        ("my images", "Rename {}/my images to train/"),
        ("ILSVRC2012_img_train (1)", "Rename {}/ILSVRC2012_img_train (1) to train/"),
        ("mine/train", "Pass {}/mine as manual_dir"),
    ],
)
def test_images_in_a_folder_of_another_name(manual_dir, folder, remedy):
    _write(manual_dir / folder / "n01440764" / IMAGE)
    _write(manual_dir / ".Trash-1000" / "train" / "n01440764" / IMAGE)
    error = _error(manual_dir)
    assert error.problem == (
        f"does not exist, but {folder.partition('/')[0]!r} has images in "
        f"{manual_dir / folder}"
    )
    assert error.remedy == remedy.format(manual_dir)


@pytest.mark.parametrize("has_images", [True, False])
def test_a_directory_with_the_archives_name(manual_dir, has_images):
    (manual_dir / TAR / "n01440764").mkdir(parents=True)
    if has_images:
        _write(manual_dir / TAR / "n01440764" / IMAGE)
    error = _error(manual_dir)
    assert error.problem == "is a directory, not a tar"
    assert error.remedy == (
        f"Rename {manual_dir / TAR} to train/" if has_images else TRAINING.how_to_get
    )


def test_the_archive_comes_before_what_was_extracted(manual_dir):
    _write(manual_dir / TAR, TRAINING_TAR)
    choice = choose_source(manual_dir, TRAINING)
    assert choice.passed_over == ()
    assert str(choice) == f"from {manual_dir / TAR} ({choice.source.form})"
    _write(manual_dir / "train" / "n01440764" / IMAGE)
    choice = choose_source(manual_dir, TRAINING)
    assert choice.source.path == manual_dir / TAR
    tree = f"images in {manual_dir / 'train'}"
    assert choice.passed_over == (tree,)
    assert f"; not the {tree})" in str(choice)
    # An unusable file in the archive's place is not passed over in silence.
    (manual_dir / TAR).write_bytes(b"")
    error = _error(manual_dir)
    assert error.remedy == (
        f"{TRAINING.how_to_get}. Or move {manual_dir / TAR} away, to use the {tree}"
    )
    (manual_dir / TAR).unlink()
    choice = choose_source(manual_dir, TRAINING)
    assert choice.source.path == manual_dir / "train"
    assert choice.passed_over == ()


def _remedy(manual_dir: epath.Path) -> str:
    sources = find_sources(manual_dir)
    with pytest.raises(ArchiveError) as caught, sources.naming_alternatives():
        list(select_training(sources.training, [IMAGE]))
    return caught.value.remedy


WHOLE_TAR = archives.training_tar({"n01440764": [(IMAGE, archives.jpeg(1))] * 2})
TREE = "train/n01440764"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (TAR, WHOLE_TAR[:3000]),
        (TAR, WHOLE_TAR[:600] + b"?" + WHOLE_TAR[601:]),
        (TAR, archives.tar_bytes([])),
        (TAR, TRAINING_TAR),
        (f"{TREE}/n01440764_2.JPEG", b"GIF89a"),
        (f"{TREE}/{IMAGE}", b""),
        (f"{TREE}/{IMAGE}", b"GIF89a"),
    ],
    ids=[
        *("cut tar", "tar with a damaged header", "empty tar", "no JPEG in the tar"),
        *("no image in the tree", "empty image in the tree", "no JPEG in the tree"),
    ],
)
def test_a_damaged_form_beside_another_one(manual_dir, path, content):
    _write(manual_dir / path, content)
    _write(manual_dir / VALIDATION.file_name, VALIDATION_TAR)
    assert "Or move" not in _remedy(manual_dir)
    _write(manual_dir / "data" / TREE / IMAGE, archives.jpeg(1))
    damaged = manual_dir / path.partition("/")[0]
    assert _remedy(manual_dir).endswith(
        f". Or move {damaged} away, to use the images in {manual_dir / 'data/train'}"
    )


def test_an_error_about_something_else_stays_as_it_is(manual_dir):
    _write(manual_dir / TAR, TRAINING_TAR)
    _write(manual_dir / "train" / "n01440764" / IMAGE)
    _write(manual_dir / VALIDATION.file_name, VALIDATION_TAR)
    sources = find_sources(manual_dir)
    error = ArchiveError(f"{manual_dir / TAR}.other", "is wrong", "Correct it")
    with pytest.raises(ArchiveError) as caught, sources.naming_alternatives():
        raise error
    assert caught.value is error


def test_the_chosen_forms_are_reported_in_a_line(manual_dir):
    _write(manual_dir / TAR, TRAINING_TAR)
    _write(manual_dir / VALIDATION.file_name, VALIDATION_TAR)
    lines: list[str] = []
    find_sources(manual_dir, None, lines.append)
    both = [choose_source(manual_dir, one) for one in (TRAINING, VALIDATION)]
    assert lines == ["Takes training images {}, validation images {}".format(*both)]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/data", "/data"),
        ("data/x y", "data/x y"),
        ("file:///data/x%20y", "/data/x y"),
        ("file://localhost/data", "/data"),
        ("gs://bucket/data", "gs://bucket/data"),
        ("s3://bucket/data", "s3://bucket/data"),
        (epath.Path("/data"), "/data"),
    ],
)
def test_supported_locations(given, path):
    assert supported(given) == path
