"""Faults in extracted images are errors, and nothing is built."""

import os
import pathlib
import shutil
import socket
import tempfile

import pytest
from PIL import Image

from imagenet2012_subset import (
    ArchiveError,
    DatasetError,
    ManualDirError,
    imagenet2012_subset_dataset_builder as builder_module,
)
from imagenet2012_subset.imagenet import names
from tests.shared import archives, faults, forms

LISTED, UNLISTED = "n01443537_7.JPEG", "n01443537_2.JPEG"
VALIDATION = archives.validation_name(3)


@pytest.fixture
def tree(build, small_data, tmp_path):
    """A tree in place of the tars: the rule for it, and its folder."""
    rule = faults.Rule(build, small_data, tmp_path)
    shutil.rmtree(small_data.manual_dir)
    forms.training_tree("train")(small_data, small_data.manual_dir)
    forms.validation_flat("val")(small_data, small_data.manual_dir)
    rule.builds()
    return rule, small_data.manual_dir


def _training(folder):
    return folder / "train" / "n01443537" / LISTED


def _validation(folder):
    return folder / "val" / VALIDATION


IMAGE = pytest.mark.parametrize("image", [_training, _validation])


@IMAGE
def test_missing(tree, image):
    rule, folder = tree
    path = image(folder)
    path.unlink()
    split, number = ("train", 6) if image is _training else ("val", 5)
    error = rule.refuses(
        f"{folder / split}: is missing 1 of {number} images ({path.name})",
        f"it has {11 if image is _training else 4} images",
        "Extract ILSVRC2012_img_",
    )
    assert isinstance(error, ArchiveError)


def test_unlisted_training_images_are_not_looked_at(tree):
    rule, folder = tree
    os.truncate(folder / "train" / "n01443537" / UNLISTED, 0)
    rule.builds()
    (folder / "train" / "n01443537" / UNLISTED).unlink()
    rule.builds()


def test_a_synset_is_missing(tree):
    rule, folder = tree
    shutil.rmtree(folder / "train" / "n01440764")
    rule.refuses(
        "train: is missing 2 of 6 images (n01440764_30.JPEG, n01440764_7.JPEG)"
    )


def test_only_the_first_synset_has_images(tree):
    rule, folder = tree
    for wnid in ("n01440764", "n01443537", "n15075141"):
        for path in (folder / "train" / wnid).iterdir():
            path.rename(path.with_suffix(".jpeg"))
    rule.refuses("is missing 6 of 6", "it has 0 images and 12 other files", ".jpeg")


@pytest.mark.parametrize("name", [LISTED, UNLISTED])
def test_a_training_image_in_the_folder_of_another_synset(tree, name):
    rule, folder = tree
    path = folder / "train" / "n01443537" / name
    wrong = folder / "train" / "n01440764" / name
    path.rename(wrong)
    if name == LISTED:
        rule.refuses(f"{wrong}: is in the folder of n01440764", "belongs to n01443537")
    else:
        rule.builds()


def test_validation_images_sorted_wrongly(tree, small_data):
    rule, folder = tree
    shutil.rmtree(folder / "val")
    forms.validation_sorted("val")(small_data, folder)
    rule.builds()
    right = folder / "val" / names.wnid(VALIDATION) / VALIDATION
    wrong = folder / "val" / "n01440764" / VALIDATION
    right.rename(wrong)
    rule.refuses(
        f"{wrong}: is in the folder of n01440764",
        f"belongs to {names.wnid(VALIDATION)}",
    )
    # Nor is a copy of it that lies wrongly passed over.
    shutil.copy(wrong, right)
    rule.refuses(f"{wrong}: is in the folder of n01440764")


def test_sorted_by_position_though_an_image_is_missing(tree, small_data):
    # What scripts do that pair sorted names with the list of labels.
    rule, folder = tree
    shutil.rmtree(folder / "val")
    present = sorted(name for name, _ in small_data.validation)[1:]
    for number, name in enumerate(present, start=1):
        wnid = names.wnid(archives.validation_name(number))
        content = dict(small_data.validation)[name]
        forms.write(folder / "val" / wnid / name, content)
    rule.refuses("is in the folder of", "sort it again")


@pytest.mark.parametrize(
    ("name", "appended"),
    [(LISTED, "n01440764"), (VALIDATION, "n01440764"), (VALIDATION, "n99999999")],
)
def test_another_wnid_appended(tree, small_data, name, appended):
    rule, folder = tree
    shutil.rmtree(folder)
    forms.training_appended("train")(small_data, folder)
    forms.validation_appended("val")(small_data, folder)
    rule.builds()
    right = next(folder.rglob(forms.appended(name)))
    wrong = right.with_name(f"{name.removesuffix('.JPEG')}_{appended}.JPEG")
    right.rename(wrong)
    rule.refuses(f"{wrong}: has {appended} appended", f"belongs to {names.wnid(name)}")


def test_another_wnid_appended_in_a_tar(tree, small_data):
    rule, folder = tree
    wrong = LISTED.replace(".JPEG", "_n01440764.JPEG")
    images = [(wrong if n == LISTED else n, d) for n, d in forms.images(small_data)]
    tar = archives.tar_bytes(images)
    archives.write_manual_dir(folder, tar, archives.tar_bytes(small_data.validation))
    rule.refuses(f"contains {LISTED} with n01440764 appended", "belongs to n01443537")


def _empty(path):
    path.write_bytes(b"")


def _directory(path):
    path.unlink()
    path.mkdir()


def _fifo(path):
    path.unlink()
    os.mkfifo(path)


def _socket(path):
    path.unlink()
    # A socket's path may have a hundred characters.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


def _dangling_link(path):
    path.unlink()
    path.symlink_to(path.parent / "gone.JPEG")


def _link_loop(path):
    path.unlink()
    path.symlink_to(path)


def _cut_off(path):
    os.truncate(path, path.stat().st_size // 2)


def _zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def _text(path):
    path.write_bytes(b"<html>no image</html>")


@IMAGE
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (_empty, "is empty"),
        (_directory, "is a directory"),
        (_fifo, "is a FIFO"),
        (_socket, "is a socket"),
        (_dangling_link, "is a broken link to"),
        (_link_loop, "link"),
        (_cut_off, "is cut off"),
        (_zeros, "contains only zeros"),
        (_text, "is a web page, not a JPEG"),
    ],
)
def test_a_wanted_image_is_none(tree, image, fault, said):
    rule, folder = tree
    fault(image(folder))
    rule.refuses(f"{image(folder)}: ", said)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("target", ["itself", "nowhere"])
def test_a_split_is_a_link_that_leads_nowhere(tree, split, target):
    rule, folder = tree
    shutil.rmtree(folder / split)
    (folder / split).symlink_to(folder / (split if target == "itself" else "gone"))
    error = rule.refuses(f"{folder / split}: cannot be looked up")
    assert isinstance(error, ManualDirError)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("n01443537", "link"),
        (".", "is a link to the folder"),
        ("gone", "is a broken link"),
    ],
)
def test_a_synset_is_a_link_that_leads_nowhere(tree, target, said):
    rule, folder = tree
    path = folder / "train" / "n01443537"
    shutil.rmtree(path)
    path.symlink_to(target)
    rule.refuses(str(path), said)


@pytest.mark.parametrize("target", [".", "../val", ".."])
def test_a_loop_in_the_validation_folder(tree, target):
    rule, folder = tree
    (folder / "val" / "n01440764").symlink_to(target)
    rule.refuses(f"{folder / 'val' / 'n01440764'}: is a link to the folder")


def test_links_to_images_are_followed(tree, tmp_path):
    rule, folder = tree
    for number, path in enumerate([*folder.rglob("*.JPEG")]):
        path.rename(tmp_path / str(number))
        path.symlink_to(tmp_path / str(number))
    rule.builds()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (archives.validation_name(6), "has 1 validation image outside 1 to 5"),
        (VALIDATION.replace(".JPEG", f"_{names.wnid(VALIDATION)}.JPEG"), "more than"),
    ],
)
def test_an_extra_validation_image(tree, name, said):
    rule, folder = tree
    shutil.copy(_validation(folder), folder / "val" / name)
    rule.refuses(f"{folder / 'val'}: ", said)


def test_a_training_image_twice(tree):
    rule, folder = tree
    path = _training(folder)
    shutil.copy(path, path.with_name(forms.appended(LISTED)))
    rule.refuses(f"{folder / 'train'}: contains 1 image more than once ({LISTED})")
    rule.builds(ignore_duplicates=True)


def test_the_test_images(tree):
    rule, folder = tree
    for path in (folder / "val").iterdir():
        path.rename(path.with_name(path.name.replace("_val_", "_test_")))
    rule.refuses("val: is missing 5 of 5 images", "It contains the test images")


def test_the_splits_exchanged(tree):
    rule, folder = tree
    (folder / "train").rename(folder / "x")
    (folder / "val").rename(folder / "train")
    (folder / "x").rename(folder / "val")
    rule.refuses("train: is missing 6 of 6 images", "It contains validation images")


def test_an_empty_folder(tree):
    rule, folder = tree
    shutil.rmtree(folder / "train")
    (folder / "train").mkdir()
    rule.refuses("train: is missing 6 of 6 images", "it has 0 images")


def _vanish(path):
    path.unlink()


def _shrink(path):
    os.truncate(path, path.stat().st_size - 1)


def _grow(path):
    path.write_bytes(path.read_bytes() + b"\0")


def _other_bytes(path):
    data = path.read_bytes()
    times = path.stat()
    path.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _replaced(path):
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])


@IMAGE
@pytest.mark.parametrize(
    "fault",
    [_vanish, _shrink, _grow, _other_bytes, _replaced, _fifo, _directory, _link_loop],
)
def test_an_image_changes_between_plan_and_write(
    build, tree, tmp_path, monkeypatch, image, fault
):
    _, folder = tree
    write_splits = builder_module.write_splits

    def change_and_write(*args, **kwargs):
        fault(image(folder))
        return write_splits(*args, **kwargs)

    monkeypatch.setattr(builder_module, "write_splits", change_and_write)
    with pytest.raises(ArchiveError) as caught:
        build(manual_dir=folder, data_dir=tmp_path / "changed")
    faults.assert_clear(caught.value)
    faults.assert_nothing_built(tmp_path / "changed")
    assert caught.value.path == str(image(folder))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
@pytest.mark.parametrize(
    "closed", [f"train/n01443537/{LISTED}", f"val/{VALIDATION}", "train", "val"]
)
@pytest.mark.parametrize("mode", [0, 0o111])
def test_no_permission(build, tree, small_data, monkeypatch, closed, mode):
    # Another user may not enter TMPDIR.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        open_to_all = pathlib.Path(name)
        open_to_all.chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", name)
        manual_dir = shutil.copytree(small_data.manual_dir, open_to_all / "manual")
        subset_list = shutil.copy(small_data.subset_list, open_to_all)
        data_dir = open_to_all / "data"
        data_dir.mkdir()
        data_dir.chmod(0o777)
        (manual_dir / closed).chmod(mode)
        os.setegid(65534)
        os.seteuid(65534)
        try:
            with pytest.raises(DatasetError) as caught:
                build(manual_dir=manual_dir, subset_list=subset_list, data_dir=data_dir)
        finally:
            os.seteuid(0)
            os.setegid(0)
        faults.assert_clear(caught.value)
        faults.assert_nothing_built(data_dir)
        assert caught.value.path == str(manual_dir / closed)
        assert "Permission denied" in caught.value.problem


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP"])
def test_a_tree_of_another_format_is_one_error_with_the_count(tree, image_format):
    rule, folder = tree
    for path in folder.glob("train/*/*.JPEG"):
        with Image.open(path) as image:
            image.save(path, image_format)
    rule.refuses("not a JPEG; of 6 images compared, 6 are not JPEGs")


def test_a_tree_beside_another_one_that_is_whole(tree, small_data):
    rule, folder = tree
    _training(folder).unlink()
    forms.training_tree("data/train")(small_data, folder)
    rule.refuses(
        f"{folder / 'train'}: is missing 1 of 6 images",
        f"move {folder / 'train'} away, to use the images in {folder / 'data/train'}",
    )
    shutil.rmtree(folder / "train")
    rule.builds()
