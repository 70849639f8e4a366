"""Faults in extracted images are errors, and nothing is built."""

import shutil

import pytest

from imagenet2012_subset import ArchiveError, ManualDirError
from imagenet2012_subset.imagenet import names
from tests.builds import file_faults
from tests.shared import archives, forms

LISTED, UNLISTED = "n01443537_7.JPEG", "n01443537_2.JPEG"
VALIDATION = archives.validation_name(3)
TRAINING_PATH = f"train/n01443537/{LISTED}"
VALIDATION_PATH = f"val/{VALIDATION}"


@pytest.fixture
def folder(rule, small_data):
    """The manual directory, with extracted images in place of the tars."""
    folder = small_data.manual_dir
    shutil.rmtree(folder)
    forms.training_tree("train")(small_data, folder)
    forms.validation_flat("val")(small_data, folder)
    return folder


def test_unlisted_training_images_are_not_read(rule, folder):
    unlisted = folder / "train" / "n01443537" / UNLISTED
    file_faults.empty(unlisted)
    rule.builds()
    unlisted.rename(folder / "train" / "n01440764" / UNLISTED)
    rule.builds()


def test_links_to_images_are_followed(rule, folder, tmp_path):
    for number, path in enumerate([*folder.rglob("*.JPEG")]):
        path.rename(tmp_path / str(number))
        path.symlink_to(tmp_path / str(number))
    rule.builds()


def _copy(source, target):
    return lambda folder: shutil.copy(folder / source, folder / target)


def _empty_split(folder):
    shutil.rmtree(folder / "train")
    (folder / "train").mkdir()


def _link(path, target):
    """Replaces a folder, if there is one, by a link."""

    def link(folder):
        if (folder / path).exists():
            shutil.rmtree(folder / path)
        (folder / path).symlink_to(target)

    return link


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            lambda folder: (folder / TRAINING_PATH).unlink(),
            [
                f"train: is missing 1 of 6 images ({LISTED}); it has 11 images",
                "Extract ILSVRC2012_img_train.tar again",
            ],
        ),
        (
            lambda folder: (folder / VALIDATION_PATH).unlink(),
            [
                f"val: is missing 1 of 5 images ({VALIDATION}); it has 4 images",
                "Extract ILSVRC2012_img_val.tar again",
            ],
        ),
        (_empty_split, ["train: is missing 6 of 6 images", "it has 0 images"]),
        (
            _copy(VALIDATION_PATH, f"val/{forms.appended(VALIDATION)}"),
            ["val: contains 1 image more than once"],
        ),
        (
            _copy(TRAINING_PATH, f"train/n01443537/{forms.appended(LISTED)}"),
            [f"train: contains 1 image more than once ({LISTED})"],
        ),
        (_link("train/n01443537", "n01443537"), ["train/n01443537", "link"]),
        (_link("train/n01443537", "."), ["train/n01443537: is a link to the folder"]),
        (_link("train/n01443537", "gone"), ["train/n01443537: is a broken link"]),
        (_link("val/n01440764", "."), ["val/n01440764: is a link to the folder"]),
    ],
)
def test_a_wrong_tree(rule, folder, fault, words):
    fault(folder)
    assert isinstance(rule.refuses(str(folder), *words), ArchiveError)


@pytest.mark.parametrize(("split", "target"), [("train", "train"), ("val", "gone")])
def test_a_split_is_a_broken_link(rule, folder, split, target):
    _link(split, target)(folder)
    error = rule.refuses(f"{folder / split}: cannot be looked up")
    assert isinstance(error, ManualDirError)


def test_validation_images_sorted_wrongly(rule, folder, small_data):
    shutil.rmtree(folder / "val")
    forms.validation_sorted("val")(small_data, folder)
    rule.builds()
    right = folder / "val" / names.wnid(VALIDATION) / VALIDATION
    wrong = folder / "val" / "n01440764" / VALIDATION
    right.rename(wrong)
    words = [f"{wrong}: is in the folder of n01440764", "sort it again"]
    rule.refuses(*words, f"belongs to {right.parent.name}")
    # Also if the right folder contains a copy.
    shutil.copy(wrong, right)
    rule.refuses(*words)


def test_ignored_duplicates(rule, folder):
    _copy(TRAINING_PATH, f"train/n01443537/{forms.appended(LISTED)}")(folder)
    rule.builds(ignore_duplicates=True)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (file_faults.empty, "is empty"),
        (file_faults.directory, "is a directory"),
        (file_faults.fifo, "is a FIFO"),
        (file_faults.unix_socket, "is a socket"),
        (file_faults.broken_link, "is a broken link to"),
        (file_faults.link_to_itself, "link"),
        (file_faults.cut_off, "is cut off"),
        (file_faults.zeros, "contains only zeros"),
        (file_faults.web_page, "is a web page, not a JPEG"),
    ],
)
def test_something_else_in_the_place_of_an_image(rule, folder, fault, problem):
    fault(folder / TRAINING_PATH)
    rule.refuses(f"{folder / TRAINING_PATH}: ", problem)


@pytest.mark.parametrize(
    "fault", [file_faults.deleted, file_faults.rewritten, file_faults.replaced]
)
def test_an_image_changes_between_plan_and_write(folder, error_of_change, fault):
    error = error_of_change(lambda: fault(folder / VALIDATION_PATH))
    assert error.path == str(folder / VALIDATION_PATH)


@pytest.mark.parametrize("closed", [TRAINING_PATH, VALIDATION_PATH, "train", "val"])
@pytest.mark.parametrize("mode", [0, 0o111])
def test_no_permission(folder, error_without_permission, closed, mode):
    error_without_permission(folder / closed, mode)
